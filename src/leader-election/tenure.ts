import type { Clock, Timer } from '../runtime/clock.js';
import { type HeldLease, LeaseLost } from './held-lease.js';

/** When a request was sent: what it grants is counted from here, whenever its answer came. */
export interface SentAt {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export function elapsedSince({ monotonicMs, wallMs }: SentAt, clock: Clock): number {
  return Math.max(clock.monotonic() - monotonicMs, clock.now() - wallMs);
}

export interface TenureOptions {
  readonly duty: string;
  readonly epoch: number;
  readonly sentAt: SentAt;
  /** How long a grant is relied on: its time to live minus the margin. */
  readonly trustMs: number;
  readonly marginMs: number;
  readonly clock: Clock;
  /** Called once, within whatever found out. */
  readonly onLost: (lost: LeaseLost) => void;
}

/**
 * One time of holding a duty. It trusts the monotonic clock, and the wall clock only to its disadvantage: the monotonic
 * one stands still while a machine sleeps. A process that stood still for longer than the margin counts as having lost,
 * because what it has checked before is no longer worth anything.
 */
export class Tenure implements HeldLease {
  readonly duty: string;
  readonly epoch: number;
  private readonly aborter = new AbortController();
  private sentAt: SentAt;
  private tickedAt: number;
  private timer: Timer | undefined;

  constructor(private readonly options: TenureOptions) {
    this.duty = options.duty;
    this.epoch = options.epoch;
    this.sentAt = options.sentAt;
    this.tickedAt = options.clock.monotonic();
    this.tick();
  }

  get signal(): AbortSignal {
    return this.aborter.signal;
  }

  get isHeld(): boolean {
    this.check();
    return !this.signal.aborted;
  }

  get remainingMs(): number {
    return this.isHeld ? this.options.trustMs - this.elapsedMs() : 0;
  }

  assertHeld(): void {
    this.check();
    this.signal.throwIfAborted();
  }

  /** Counts from the request that was granted. */
  extend(sentAt: SentAt): void {
    if (this.isHeld) this.sentAt = sentAt;
  }

  /** Idempotent. */
  lose(why: string): void {
    if (this.signal.aborted) return;
    this.timer?.cancel();
    const lost = new LeaseLost(this.duty, why);
    this.aborter.abort(lost);
    this.options.onLost(lost);
  }

  private check(): void {
    const { clock, marginMs, trustMs } = this.options;
    const stoodStillMs = clock.monotonic() - this.tickedAt;
    if (stoodStillMs > marginMs) this.lose(`the process stood still for ${Math.round(stoodStillMs)} ms`);
    else if (this.elapsedMs() >= trustMs) this.lose('it was not renewed in time');
  }

  private elapsedMs(): number {
    return elapsedSince(this.sentAt, this.options.clock);
  }

  private tick(): void {
    if (!this.isHeld) return;
    const { clock, marginMs, trustMs } = this.options;
    this.tickedAt = clock.monotonic();
    const nextInMs = Math.min(marginMs / 4, trustMs - this.elapsedMs());
    this.timer = clock.after(nextInMs, () => this.tick(), { unref: true });
  }
}
