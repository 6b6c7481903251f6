import { type ClaimedJob, type HeartbeatEntry, type JobProgress, MAX_PROGRESS_MESSAGE } from './protocol.ts';

/** Reasons for which work is to stop, as the job's function sees them in `signal.reason`. */
export type StopReason = 'lost' | 'canceled' | 'timeout' | 'draining';

export class JobStopped extends Error {
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(`the work was stopped: ${reason}`);
    this.reason = reason;
  }
}

/** A timer that is set for longer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** By which the end of an attempt, told by the answers of two requests, may differ. */
const TOLERANCE_MS = 1_000;

/** A job that this agent has, for as long as it may believe so. */
export class HeldJob {
  readonly job: ClaimedJob;
  private readonly controller = new AbortController();
  private trust: NodeJS.Timeout | undefined;
  private deadline: NodeJS.Timeout | undefined;
  private endsAt = Infinity;
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

  /** The work begins: the attempt's own time counts from when this was told, on the monotonic clock in milliseconds. */
  begin(toldAt: number): void {
    const { timeoutMs } = this.job;
    if (timeoutMs === null) return;
    this.endsAt = toldAt + timeoutMs;
    this.deadline = setTimeout(() => this.stop('timeout'), timerMs(this.endsAt));
  }

  /** Fitted into what a heartbeat may say: one that is refused renews the leases of no job. */
  progress({ percent, message }: JobProgress): void {
    this.untold = {
      percent: Math.min(Math.max(0, percent || 0), 100),
      ...(message === undefined ? {} : { message: message.slice(0, MAX_PROGRESS_MESSAGE) }),
    };
  }

  stop(reason: StopReason): void {
    this.controller.abort(new JobStopped(reason));
  }

  /**
   * Without a renewal until then, on the monotonic clock in milliseconds, another agent may have the job: the work stops
   * by itself. Counted from when the request was sent whose answer renewed it. No lease lasts longer than the attempt may
   * take: where both end together the job is not lost, and its end is to be told.
   */
  trustUntil(at: number): void {
    clearTimeout(this.trust);
    const reason = at < this.endsAt - TOLERANCE_MS ? 'lost' : 'timeout';
    this.trust = setTimeout(() => this.stop(reason), timerMs(at));
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

function timerMs(at: number): number {
  return Math.min(Math.max(0, at - performance.now()), MAX_TIMER_MS);
}
