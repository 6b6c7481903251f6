import type { Types } from 'mongoose';
import type { Pool } from '../tenants/index.js';
import type { Job, JobDetail, JobError, JobHistoryEntry } from './job.js';
import type { JobState } from './job-state.js';

/** Present exactly while an agent has the job. */
export interface StoredLease {
  readonly agentId: string;
  /** `<agent id>:<hash of its claim id>`: what one claim has got, and by its beginning all that one agent has. */
  readonly claimKey: string;
  /** Of the token. */
  readonly hash: string;
  readonly expiresAt: Date;
  /** When it was given or renewed last. */
  readonly renewedAt: Date;
  readonly claimedAt: Date;
  /** Of the last start or progress. */
  readonly touchedAt: Date;
  /** When the attempt's time is over; absent without a `timeoutMs`, or before the start. */
  readonly deadlineAt?: Date;
}

/** Times are the server's. Optional fields are absent where they do not apply, which keeps sparse indexes small. */
export interface JobDocument {
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  readonly type: string;
  readonly pool: Pool;
  readonly requires: string;
  /** Jobs that the same agents may take. */
  readonly lane: string;
  readonly priority: number;
  /** Milliseconds since the epoch; see rank.ts. */
  readonly virtualStart: number;
  readonly rank: number;
  readonly state: JobState;
  readonly reason: string | null;
  /** JSON text: its keys may hold dots and dollars. */
  readonly payload: string;
  readonly timeoutMs: number | null;
  readonly maxRetries: number;
  readonly notBefore: Date | null;
  readonly idempotencyKey?: string;
  /** Of a scheduled job. */
  readonly runAt?: Date;
  /** Of a waiting job: since when. */
  readonly waitingSince?: Date;
  /** Of a job that is offered to agents or with one, of a tenant with a limit: which of its places it takes, from 0. */
  readonly slot?: number;
  /** The place that it gave back last: a hint that there may be room for another job. */
  readonly lastSlot?: number;
  readonly lease?: StoredLease;
  /** Grows with every claim and every end of an attempt. */
  readonly epoch: number;
  /** What the last lease ended with, by which a repeated report is known. */
  readonly ended: { readonly hash: string; readonly event: 'complete' | 'fail' } | null;
  readonly attempts: number;
  readonly agentId: string | null;
  readonly progress: { readonly percent: number; readonly message: string | null; readonly at: Date } | null;
  readonly cancelRequested: boolean;
  /** JSON text. */
  readonly result: string | null;
  /** JSON text. */
  readonly error: string | null;
  /** Share of its back-off that it is early, 0 to 1, drawn once: jobs that failed together come back apart. */
  readonly jitter: number;
  readonly history: ReadonlyArray<Omit<JobHistoryEntry, 'at'> & { readonly at: Date }>;
  /** The sweep that changed it last, to find what a conditional update of many has changed. */
  readonly sweepId?: string;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  /** Of a finished job: when it is removed. */
  readonly expiresAt?: Date;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly createdBy: string;
}

export type ListedJobDocument = Omit<JobDocument, 'payload' | 'result' | 'error' | 'history'>;
/** For projections: leaves out what may have a megabyte. */
export const LISTED = { payload: 0, result: 0, error: 0, history: 0 } as const;

export function toJob(document: ListedJobDocument): Job {
  const { progress } = document;
  return {
    id: document._id.toHexString(),
    tenantId: document.tenantId,
    type: document.type,
    pool: document.pool,
    requires: document.requires,
    priority: document.priority,
    state: document.state,
    reason: document.reason,
    attempts: document.attempts,
    maxRetries: document.maxRetries,
    timeoutMs: document.timeoutMs,
    notBefore: document.notBefore?.toISOString() ?? null,
    runAt: document.runAt?.toISOString() ?? null,
    agentId: document.agentId,
    progress: progress && { percent: progress.percent, message: progress.message, at: progress.at.toISOString() },
    cancelRequested: document.cancelRequested,
    idempotencyKey: document.idempotencyKey ?? null,
    version: document.version,
    createdAt: document.createdAt.toISOString(),
    updatedAt: document.updatedAt.toISOString(),
    createdBy: document.createdBy,
    startedAt: document.startedAt?.toISOString() ?? null,
    endedAt: document.endedAt?.toISOString() ?? null,
  };
}

export function toJobDetail(document: JobDocument): JobDetail {
  return {
    ...toJob(document),
    payload: JSON.parse(document.payload) as unknown,
    result: document.result === null ? null : (JSON.parse(document.result) as unknown),
    error: document.error === null ? null : (JSON.parse(document.error) as JobError),
    history: document.history.map((entry) => ({ ...entry, at: entry.at.toISOString() })),
  };
}
