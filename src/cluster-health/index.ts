export type { Cluster, ClusterHealth, ClusterMetadata, ClusterReason, ClusterReasonCode } from './cluster.js';
export type { ClusterChanged, ClusterChecked } from './cluster-events.js';
export { type ClusterHealthConfig, clusterHealthConfig } from './cluster-health.config.js';
export { ClusterHealthModule } from './cluster-health.module.js';
export type { ClusterObject, ClusterUsage } from './cluster-usage.js';
export { ClustersService } from './clusters.service.js';
