export { ControllerManager } from './controller-manager.js';
export { type ControllerMetrics, NoopControllerMetrics } from './controller-metrics.js';
export { ControllerWatchdog } from './controller-watchdog.js';
export { type ControllersConfig, controllersConfig } from './controllers.config.js';
export { ControllersModule } from './controllers.module.js';
export { PrometheusControllerMetrics } from './prometheus-controller-metrics.js';
export type { Reconciler } from './reconciler.js';
