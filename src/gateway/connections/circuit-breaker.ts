import { Backoff } from '../../runtime/backoff.js';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';

/**
 * Keeps work from waiting for what fails again and again. After so many consecutive failures nobody tries for 1 s, less
 * up to a fifth of it by chance, then somebody may; each further failure doubles the pause, up to 30 s.
 */
export class CircuitBreaker {
  private failures = 0;
  private openUntil = -Infinity;
  private readonly backoff: Backoff;

  constructor(
    private readonly clock: Clock,
    random: Random,
    private readonly mostFailures: number,
  ) {
    this.backoff = new Backoff({ baseMs: 1_000, maxMs: 30_000, jitter: 0.2 }, random);
  }

  /** Whether nobody may try now. */
  get isOpen(): boolean {
    return this.clock.monotonic() < this.openUntil;
  }

  /** Whether it has failed so often, be it open now or on trial. */
  get hasTripped(): boolean {
    return this.failures >= this.mostFailures;
  }

  succeeded(): void {
    this.failures = 0;
    this.openUntil = -Infinity;
    this.backoff.reset();
  }

  failed(): void {
    this.failures += 1;
    if (this.hasTripped) this.openUntil = this.clock.monotonic() + this.backoff.next();
  }
}
