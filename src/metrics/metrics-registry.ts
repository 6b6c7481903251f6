/** One prom-client Registry for each application instance, never the global one: tests start many in one process. */
export const METRICS_REGISTRY = Symbol('MetricsRegistry');
