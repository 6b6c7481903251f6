import type { Clock } from '../runtime/clock.js';

const WINDOW_MS = 60_000;
const MAX_KEYS = 10_000;

/** Counts requests by key over the last minute. At most 10 000 keys; the one that was silent longest is forgotten. */
export class RequestRate {
  private readonly times = new Map<string, number[]>();

  constructor(
    private readonly perMinute: number,
    private readonly clock: Clock,
  ) {}

  /** Counts a request and returns 0, or counts nothing and returns the milliseconds until one is allowed. */
  take(key: string): number {
    const now = this.clock.monotonic();
    const recent = (this.times.get(key) ?? []).filter((time) => now - time < WINDOW_MS);
    const [oldest] = recent;
    const waitMs = oldest !== undefined && recent.length >= this.perMinute ? oldest + WINDOW_MS - now : 0;
    if (waitMs === 0) recent.push(now);
    // Put in anew, so that the map's order is the order of use.
    this.times.delete(key);
    this.times.set(key, recent);
    if (this.times.size > MAX_KEYS) this.times.delete(this.times.keys().next().value ?? key);
    return waitMs;
  }
}
