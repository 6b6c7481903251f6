import type { Pool } from '../tenants/index.js';
import type { JobEvent, JobState } from './job-state.js';

/** The largest payload, result or error of a job, in bytes of JSON. */
export const MAX_JSON_BYTES = 1024 * 1024;
/** Entries of a job's own history; older ones go. */
export const HISTORY_LENGTH = 20;

export interface JobProgress {
  /** 0 to 100. */
  readonly percent: number;
  readonly message: string | null;
  readonly at: string;
}

export interface JobError {
  readonly code: string | null;
  readonly message: string;
  readonly detail?: unknown;
}

/** A job as it is listed, streamed and told on the bus: without what may have a megabyte. */
export interface Job {
  readonly id: string;
  readonly tenantId: string;
  readonly type: string;
  readonly pool: Pool;
  /** Label selector in its canonical form; empty: any agent. */
  readonly requires: string;
  readonly priority: number;
  readonly state: JobState;
  /** Why it is in this state, where that is not by the ordinary way: `lease_expired`, `queue_limit`, … */
  readonly reason: string | null;
  readonly attempts: number;
  readonly maxRetries: number;
  /** Longest time of one attempt; null: as long as it tells progress. */
  readonly timeoutMs: number | null;
  readonly notBefore: string | null;
  /** When a scheduled job enters the queue. */
  readonly runAt: string | null;
  /** Who has it, or had it last. */
  readonly agentId: string | null;
  readonly progress: JobProgress | null;
  readonly cancelRequested: boolean;
  readonly idempotencyKey: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly createdBy: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
}

export interface JobHistoryEntry {
  readonly at: string;
  readonly event: JobEvent | 'enqueue';
  readonly state: JobState;
  readonly attempt: number;
  readonly agentId: string | null;
  /** Who or what did it: a principal, an agent or a reconciler. */
  readonly by: string;
  readonly reason: string | null;
}

/** Where a job begins anew. */
export interface QueuePlace {
  readonly state: JobState;
  /** Of a scheduled one: when it is queued. */
  readonly runAt: Date | null;
  readonly virtualStart: number;
  readonly rank: number;
}

export interface JobDetail extends Job {
  readonly payload: unknown;
  readonly result: unknown;
  readonly error: JobError | null;
  /** Oldest first, at most 20. */
  readonly history: readonly JobHistoryEntry[];
}

/** What an agent gets. Times are durations: its clock need not be right. */
export interface ClaimedJob {
  readonly id: string;
  readonly tenantId: string;
  readonly type: string;
  readonly payload: unknown;
  /** From 1. */
  readonly attempt: number;
  readonly timeoutMs: number | null;
  readonly lease: { readonly token: string; readonly expiresInMs: number };
}

/** Why an attempt or a job ended in another way than by its agent or a user. */
export const RELEASE_REASONS = [
  /** Not renewed in time: the agent died, or lost its way to us. */
  'lease_expired',
  /** The attempt took longer than the job's `timeoutMs`. */
  'timeout',
  /** The agent beats, but told no progress for too long. */
  'stuck',
  /** An agent of the tenant claimed it and did not start it. */
  'not_picked_up',
  'agent_offline',
  'agent_removed',
] as const;
export type ReleaseReason = (typeof RELEASE_REASONS)[number];
