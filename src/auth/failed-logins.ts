import { createHash } from 'node:crypto';
import { AppError } from '../errors/app-error.js';
import type { Clock } from '../runtime/clock.js';
import { isLoopbackAddress } from './loopback.js';

const WINDOW_MS = 15 * 60_000;
const ADDRESSES = 10_000;

interface Count {
  failures: number;
  readonly resetsAt: number;
  /** Digests of secrets that count once; no more than the limit. */
  readonly secrets: Set<string>;
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

  /**
   * @param secret of a program that tries the same one for ever, which then counts once: who guesses does not repeat
   *   himself, and others behind the same address must not suffer for a program set up wrongly.
   */
  record(address: string, secret?: string): void {
    if (isLoopbackAddress(address)) return;
    const count = this.countOf(address);
    if (secret !== undefined) {
      const digest = createHash('sha256').update(secret).digest('base64');
      if (count.secrets.has(digest)) return;
      if (count.secrets.size < this.limit) count.secrets.add(digest);
    }
    count.failures += 1;
  }

  private countOf(address: string): Count {
    const now = this.clock.monotonic();
    const known = this.counts.get(address);
    if (known && known.resetsAt > now) return known;
    const count = { failures: 0, resetsAt: now + WINDOW_MS, secrets: new Set<string>() };
    this.counts.delete(address);
    this.counts.set(address, count);
    const oldest = this.counts.keys().next().value;
    if (this.counts.size > ADDRESSES && oldest !== undefined) this.counts.delete(oldest);
    return count;
  }
}
