import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { duration, integer } from '../config/setting-types.js';

export const watchersConfig = defineConfig('watchers', {
  backoffBaseMs: setting('CROWSNEST_WATCH_BACKOFF_BASE', duration({ minMs: 100 }), {
    default: '5s',
    description: 'First delay before a failed watch is tried again; doubles with every further failure.',
  }),
  backoffMaxMs: setting('CROWSNEST_WATCH_BACKOFF_MAX', duration({ minMs: 100 }), {
    default: '60s',
    description: 'Longest delay before a failed watch is tried again.',
  }),
  backoffResetMs: setting('CROWSNEST_WATCH_BACKOFF_RESET', duration(), {
    default: '2m',
    description: 'Time of health after which earlier failures of a watch are forgotten.',
  }),
  forbiddenRetryMaxMs: setting('CROWSNEST_WATCH_FORBIDDEN_RETRY', duration({ minMs: 1_000 }), {
    default: '5m',
    description: 'Longest delay before a watch that the rights do not allow is tried again.',
  }),
  probePeriodMs: setting('CROWSNEST_WATCH_PROBE_PERIOD', duration({ minMs: 100 }), {
    default: '2s',
    description: 'Period of the one probe of a cluster that is down; its success wakes all watches of the cluster.',
  }),
  watchTimeoutMs: setting('CROWSNEST_WATCH_TIMEOUT', duration({ minMs: 1_000, maxMs: 3_600_000 }), {
    default: '5m',
    description: 'Shortest lifetime asked of the API server for a watch; each gets a random one up to twice that.',
  }),
  listPageSize: setting('CROWSNEST_WATCH_LIST_PAGE_SIZE', integer(1, 5_000), {
    default: '500',
    description: 'Objects asked for in one page of a list.',
  }),
  listsInFlight: setting('CROWSNEST_WATCH_LISTS_IN_FLIGHT', integer(1, 100), {
    default: '4',
    description: 'Lists that run at one time against one cluster.',
  }),
  wideFrom: setting('CROWSNEST_WATCH_CLUSTER_WIDE_FROM', integer(2, 100_000), {
    default: '6',
    description: 'Namespaces of a kind from which one watch of the whole cluster replaces those of the namespaces.',
  }),
  resyncPeriodMs: setting('CROWSNEST_WATCH_RESYNC_PERIOD', duration({ minMs: 1_000 }), {
    default: '5m',
    description: 'Period in which what should be watched is derived from the database again, beside every change.',
  }),
  historyRetentionMs: setting('CROWSNEST_RESOURCE_HISTORY_RETENTION', duration({ minMs: 60_000 }), {
    default: '30d',
    description: 'How long an entry of a resource history is kept.',
  }),
  historyPerResource: setting('CROWSNEST_RESOURCE_HISTORY_MAX', integer(1, 100_000), {
    default: '200',
    description: 'History entries kept for each resource.',
  }),
});

export type WatchersConfig = ConfigOf<typeof watchersConfig>;
