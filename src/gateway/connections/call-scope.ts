import { Code, ConnectError } from '@connectrpc/connect';
import type { Clock, Timer } from '../../runtime/clock.js';
import { CallFailure } from './call-failure.js';

/**
 * The life of one call: ends at its deadline or with the caller. Lighter than a composed AbortSignal, since every call
 * that passes through the gateway has one.
 */
export class CallScope {
  /** Why it ended early. */
  reason: Error | undefined;
  private readonly endsAt: number;
  private readonly timer: Timer | undefined;
  private stop: ((reason: Error) => void) | undefined;

  /** @throws ConnectError if the caller has gone already. @param timeoutMs Infinity: none. */
  constructor(
    private readonly clock: Clock,
    timeoutMs: number,
    private readonly signal: AbortSignal | undefined,
  ) {
    if (signal?.aborted) throw abortError(signal);
    this.endsAt = timeoutMs === Infinity ? Infinity : clock.monotonic() + timeoutMs;
    if (timeoutMs !== Infinity) {
      this.timer = clock.after(timeoutMs, () =>
        this.end(new CallFailure('too-late', 'it did not answer in time', { mayBeProcessed: this.isSent })),
      );
    }
    signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** Set as soon as the request may have left. */
  isSent = false;

  /** Whole milliseconds until the deadline, at least 1. */
  get leftMs(): number {
    return Math.max(1, Math.floor(this.endsAt - this.clock.monotonic()));
  }

  /** Called when the scope ends early, at once if it has; replaces what was to be called before. */
  onEnd(stop: ((reason: Error) => void) | undefined): void {
    this.stop = stop;
    if (stop && this.reason) stop(this.reason);
  }

  /** Resolves as `work` does, unless the scope ends first. `work` itself goes on: it is shared. */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.onEnd(reject);
      work.then(resolve, reject);
    });
  }

  /** The call is over: its deadline and its caller do not matter any more. */
  dispose(): void {
    this.timer?.cancel();
    this.signal?.removeEventListener('abort', this.onAbort);
    this.stop = undefined;
  }

  private readonly onAbort = (): void => {
    if (this.signal) this.end(abortError(this.signal));
  };

  private end(reason: Error): void {
    this.reason ??= reason;
    this.stop?.(this.reason);
  }
}

function abortError(signal: AbortSignal): ConnectError {
  return ConnectError.from(signal.reason, Code.Canceled);
}
