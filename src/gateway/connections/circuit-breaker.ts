import { Backoff } from '../../runtime/backoff.js';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';

const FAILURES = 5;

/**
 * Keeps calls from waiting for an instance that cannot be connected to. After 5 consecutive failures nobody tries for
 * 1 s, then one may; each further failure doubles the pause, up to 30 s.
 */
export class CircuitBreaker {
  private failures = 0;
  private openUntil = -Infinity;
  private readonly backoff: Backoff;

  constructor(
    private readonly clock: Clock,
    random: Random,
  ) {
    this.backoff = new Backoff({ baseMs: 1_000, maxMs: 30_000, jitter: 0.2 }, random);
  }

  /** Whether nobody may try now. */
  get isOpen(): boolean {
    return this.clock.monotonic() < this.openUntil;
  }

  succeeded(): void {
    this.failures = 0;
    this.openUntil = -Infinity;
    this.backoff.reset();
  }

  failed(): void {
    this.failures += 1;
    if (this.failures >= FAILURES) this.openUntil = this.clock.monotonic() + this.backoff.next();
  }
}
