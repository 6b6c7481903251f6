import type { Clock } from '../../runtime/clock.js';

const SHARE = 0.1;
const MOST_MS = 250;

/**
 * What calls to subsystems may take of the time that a caller has left, in milliseconds: a tenth of it, at most 250 ms, is
 * kept for an answer that names those who were too slow. undefined: the caller has set no deadline.
 */
export function timeForCalls(leftMs: number | undefined): number | undefined {
  return leftMs === undefined ? undefined : leftMs - Math.min(MOST_MS, leftMs * SHARE);
}

/** Resolves as `work` does, or with `late` when the time is over; `work` goes on. @param timeoutMs undefined: no end. */
export function within<T>(
  clock: Pick<Clock, 'after'>,
  timeoutMs: number | undefined,
  work: Promise<T>,
  late: T,
): Promise<T>;
export function within(clock: Pick<Clock, 'after'>, timeoutMs: number | undefined, work: Promise<void>): Promise<void>;
export function within<T>(
  clock: Pick<Clock, 'after'>,
  timeoutMs: number | undefined,
  work: Promise<T>,
  late?: T,
): Promise<T | undefined> {
  if (timeoutMs === undefined) return work;
  const end = Promise.withResolvers<T | undefined>();
  const timer = clock.after(timeoutMs, () => end.resolve(late), { unref: true });
  return Promise.race([work, end.promise]).finally(() => timer.cancel());
}
