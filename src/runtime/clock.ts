/** A pending timer. `cancel` is idempotent; a cancelled timer never fires. */
export interface Timer {
  cancel(): void;
}

/** Everything the service knows about time. Injected, so that tests move it by hand. */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch, for what is stored and shown. */
  now(): number;
  /** Milliseconds on a clock that never jumps, for measuring and for deadlines. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs`. An unref'd timer does not keep the process alive. */
  after(delayMs: number, callback: () => void, options?: { unref?: boolean }): Timer;
  /** Resolves after `delayMs`; rejects with the signal's reason as soon as it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

export const CLOCK = Symbol('Clock');

/** About 25 days. For anything longer `setTimeout` fires at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  after(delayMs: number, callback: () => void, options: { unref?: boolean } = {}): Timer {
    let handle: NodeJS.Timeout;
    const wait = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, MAX_TIMEOUT_MS);
      handle = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : callback()), stepMs);
      if (options.unref) handle.unref();
    };
    wait(delayMs);
    return { cancel: () => clearTimeout(handle) };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }
}

/** `sleep` in terms of `after`: shared by every clock, so that the fake one aborts in the same way. */
export function sleepOn(clock: Pick<Clock, 'after'>, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
