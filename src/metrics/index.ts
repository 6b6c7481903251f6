export { METRICS_REGISTRY } from './metrics-registry.js';
export { MetricsModule } from './metrics.module.js';
