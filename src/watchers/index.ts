export {
  type ChildStatus,
  FRESHNESSES,
  type Freshness,
  HEALTHS,
  type Health,
  type Resource,
  type ResourceStatus,
  ROLLOUTS,
  type Rollout,
} from './resource.js';
export type { ResourceChanged, ResourceRemoved } from './resource-events.js';
export { ResourcesService, type WorkflowHealth } from './resources.service.js';
export { type WatchersConfig, watchersConfig } from './watchers.config.js';
export { WatchersModule } from './watchers.module.js';
