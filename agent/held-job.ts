import type { ClaimedJob, HeartbeatEntry, JobProgress } from './protocol.ts';

/** Reasons for which work is to stop, as the job's function sees them in `signal.reason`. */
export type StopReason = 'lost' | 'canceled' | 'timeout' | 'draining';

export class JobStopped extends Error {
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(`the work was stopped: ${reason}`);
    this.reason = reason;
  }
}

/** A job that this agent has, for as long as it may believe so. */
export class HeldJob {
  readonly job: ClaimedJob;
  private readonly controller = new AbortController();
  private trust: NodeJS.Timeout | undefined;
  private deadline: NodeJS.Timeout | undefined;
  private untold: JobProgress | undefined;
  /** The work is over and its end is being told: the answer to that says whether the job was still ours. */
  isReporting = false;

  constructor(job: ClaimedJob) {
    this.job = job;
  }

  /** Aborted with a JobStopped when the work has to stop. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get stopped(): StopReason | undefined {
    const reason: unknown = this.signal.reason;
    return reason instanceof JobStopped ? reason.reason : undefined;
  }

  /** The work begins: from now on the attempt's own time counts. */
  begin(): void {
    const { timeoutMs } = this.job;
    if (timeoutMs !== null) this.deadline = setTimeout(() => this.stop('timeout'), timeoutMs);
  }

  progress(progress: JobProgress): void {
    this.untold = progress;
  }

  stop(reason: StopReason): void {
    this.controller.abort(new JobStopped(reason));
  }

  /**
   * Without a renewal until then, on the monotonic clock in milliseconds, another agent may have the job: the work stops
   * by itself. Counted from when the request was sent whose answer renewed it.
   */
  trustUntil(at: number): void {
    clearTimeout(this.trust);
    this.trust = setTimeout(() => this.stop('lost'), Math.max(0, at - performance.now()));
  }

  /** What the next heartbeat says of it. */
  entry(): HeartbeatEntry {
    const { id, lease } = this.job;
    const progress = this.untold;
    this.untold = undefined;
    return { id, token: lease.token, ...(progress === undefined ? {} : { progress }) };
  }

  close(): void {
    clearTimeout(this.trust);
    clearTimeout(this.deadline);
  }
}
