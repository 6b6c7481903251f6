import { type ListedJobDocument, toJob } from '../job.document.js';
import type { Job } from '../job.js';

/** What a start or a report of progress is answered. */
export interface HeldJob {
  readonly job: Job;
  readonly expiresInMs: number;
  /** The agent is asked to stop the work, and to tell `fail` when it has. */
  readonly cancelRequested: boolean;
}

export function heldJob(document: ListedJobDocument): HeldJob {
  const { lease, cancelRequested } = document;
  const expiresInMs = lease ? Math.max(0, lease.expiresAt.getTime() - lease.renewedAt.getTime()) : 0;
  return { job: toJob(document), expiresInMs, cancelRequested };
}
