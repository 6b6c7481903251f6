export { Lifecycle } from './lifecycle.js';
export { LifecycleModule } from './lifecycle.module.js';
export { LifecycleRegistry } from './lifecycle-registry.js';
export { type LifecycleConfig, lifecycleConfig } from './lifecycle.config.js';
export { PeriodicTasks } from './periodic-tasks.js';
export { Readiness } from './readiness.js';
export { PHASES, type Phase } from './phases.js';
