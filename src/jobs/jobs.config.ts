import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { duration, integer } from '../config/setting-types.js';
import type { TenantsConfig } from '../tenants/index.js';
import { leastBonus } from './rank.js';

export const jobsConfig = defineConfig('jobs', {
  leaseMs: setting('CROWSNEST_JOB_LEASE', duration({ minMs: 1_000, maxMs: 3_600_000 }), {
    default: '60s',
    description: 'How long an agent has a job without a heartbeat; three heartbeats should fit in.',
  }),
  stuckMs: setting('CROWSNEST_JOB_STUCK', duration({ minMs: 1_000 }), {
    default: '30m',
    description: 'How long an agent keeps a job that it beats for without telling progress.',
  }),
  pickupMs: setting('CROWSNEST_JOB_PICKUP', duration({ minMs: 1_000 }), {
    default: '10m',
    description: "How long a tenant's agent keeps a job that it claimed and has not started.",
  }),
  maxRetries: setting('CROWSNEST_JOB_RETRIES', integer(0, 100), {
    default: '3',
    description: 'Retries of a job that does not say how many.',
  }),
  retryBaseMs: setting('CROWSNEST_JOB_RETRY_DELAY', duration({ minMs: 1 }), {
    default: '5s',
    description: 'Delay before the first retry, at least half of it; doubles with each.',
  }),
  retryMaxMs: setting('CROWSNEST_JOB_RETRY_DELAY_MAX', duration({ minMs: 1 }), {
    default: '10m',
    description: 'Longest delay before a retry.',
  }),
  queueLimitMs: setting('CROWSNEST_JOB_QUEUE_LIMIT', duration({ minMs: 1_000 }), {
    default: '60m',
    description: 'How long a job waits for an agent before it expires.',
  }),
  retentionMs: setting('CROWSNEST_JOB_RETENTION', duration({ minMs: 60_000 }), {
    default: '7d',
    description: 'How long finished jobs are kept.',
  }),
  pollMs: setting('CROWSNEST_JOB_POLL', duration({ minMs: 10 }), {
    default: '2s',
    description: 'How often due jobs are queued, and the queue is looked at for parked claims that no hint has woken.',
  }),
  maxParkedClaims: setting('CROWSNEST_JOB_PARKED_CLAIMS', integer(1, 1_000_000), {
    default: '10000',
    description: 'Claims that wait for jobs at a time; one more is answered at once.',
  }),
  recoveryPeriodMs: setting('CROWSNEST_JOB_RECOVERY_PERIOD', duration({ minMs: 100 }), {
    default: '60s',
    description: 'How often lost, stuck, delayed and overdue jobs are looked for.',
  }),
  priorityPeriodMs: setting('CROWSNEST_QUEUE_PRIORITY_PERIOD', duration({ minMs: 100 }), {
    default: '60s',
    description: 'How often the order of the queue is verified.',
  }),
});

export type JobsConfig = ConfigOf<typeof jobsConfig>;

/** What only the settings together tell, one line each; empty if they fit. */
export function jobsProblems({ queueLimitMs }: JobsConfig, { plans, priorityBonus }: TenantsConfig): string[] {
  const least = Math.ceil(leastBonus(plans, queueLimitMs));
  if (priorityBonus >= least) return [];
  return [
    `CROWSNEST_PRIORITY_BONUS: with less than ${least} points a minute, jobs of the least plan would expire by ` +
      'CROWSNEST_JOB_QUEUE_LIMIT before they overtake fresh ones of the most',
  ];
}
