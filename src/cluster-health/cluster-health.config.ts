import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { duration, integer } from '../config/setting-types.js';

export const clusterHealthConfig = defineConfig('cluster health', {
  periodMs: setting('CROWSNEST_CLUSTER_HEALTH_PERIOD', duration({ minMs: 1_000 }), {
    default: '60s',
    description: 'Time between two sweeps over all clusters.',
  }),
  workers: setting('CROWSNEST_CLUSTER_HEALTH_WORKERS', integer(1, 100), {
    default: '5',
    description: 'Clusters that a sweep checks at the same time, whatever their number.',
  }),
  checkTimeoutMs: setting('CROWSNEST_CLUSTER_CHECK_TIMEOUT', duration({ minMs: 100, maxMs: 60_000 }), {
    default: '10s',
    description: 'Deadline of one check of one cluster, metadata included.',
  }),
  metadataMaxAgeMs: setting('CROWSNEST_CLUSTER_METADATA_MAX_AGE', duration(), {
    default: '10m',
    description: 'Age at which version, nodes, capacity and namespaces of a cluster are fetched again.',
  }),
  checksPerMinute: setting('CROWSNEST_CLUSTER_CHECKS_PER_MINUTE', integer(1, 10_000), {
    default: '5',
    description: 'Checks of one cluster that one principal may ask for in a minute.',
  }),
  registrationsPerMinute: setting('CROWSNEST_CLUSTER_REGISTRATIONS_PER_MINUTE', integer(1, 10_000), {
    default: '60',
    description: 'Clusters registered or given another endpoint or credential by one principal in a minute.',
  }),
  sampleRetentionMs: setting('CROWSNEST_CLUSTER_HEALTH_RETENTION', duration({ minMs: 60_000 }), {
    default: '7d',
    description: 'How long each check of a cluster is kept.',
  }),
  hourRetentionMs: setting('CROWSNEST_CLUSTER_HEALTH_HOURLY_RETENTION', duration({ minMs: 3_600_000 }), {
    default: '90d',
    description: 'How long the hourly summary of the checks of a cluster is kept.',
  }),
});

export type ClusterHealthConfig = ConfigOf<typeof clusterHealthConfig>;
