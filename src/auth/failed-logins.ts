import { AppError } from '../errors/app-error.js';
import type { Clock } from '../runtime/clock.js';
import { isLoopbackAddress } from './loopback.js';

const WINDOW_MS = 15 * 60_000;
const ADDRESSES = 10_000;

interface Count {
  failures: number;
  readonly resetsAt: number;
}

/** Counts wrong credentials by address. Bounded: beyond 10 000 addresses the oldest count is forgotten. */
export class FailedLogins {
  private readonly counts = new Map<string, Count>();

  constructor(
    private readonly limit: number,
    private readonly clock: Clock,
  ) {}

  /** Milliseconds until the address may try again; 0 if it may now. */
  blockedForMs(address: string): number {
    const count = this.counts.get(address);
    if (!count || count.failures < this.limit) return 0;
    return Math.max(0, count.resetsAt - this.clock.monotonic());
  }

  /** @throws AppError `request.rate_limited` */
  requireUnblocked(address: string): void {
    const blockedForMs = this.blockedForMs(address);
    if (blockedForMs === 0) return;
    throw new AppError('request.rate_limited', 'too many wrong credentials came from this address; try later', {
      headers: { 'Retry-After': String(Math.ceil(blockedForMs / 1_000)) },
    });
  }

  record(address: string): void {
    if (isLoopbackAddress(address)) return;
    const now = this.clock.monotonic();
    const known = this.counts.get(address);
    if (known && known.resetsAt > now) {
      known.failures += 1;
      return;
    }
    this.counts.delete(address);
    this.counts.set(address, { failures: 1, resetsAt: now + WINDOW_MS });
    const oldest = this.counts.keys().next().value;
    if (this.counts.size > ADDRESSES && oldest !== undefined) this.counts.delete(oldest);
  }
}
