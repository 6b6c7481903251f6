import type { Random } from './random.js';

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  readonly factor?: number;
  /** Share of the delay that is drawn by chance, 0 to 1: the delay lies in [d × (1 − jitter), d]. */
  readonly jitter?: number;
}

/** Exponential delays counted in consecutive failures. */
export class Backoff {
  private failures = 0;

  constructor(
    private readonly options: BackoffOptions,
    private readonly random: Random,
  ) {}

  get consecutiveFailures(): number {
    return this.failures;
  }

  /** Counts a failure and returns the milliseconds to wait before the next try. */
  next(): number {
    const { baseMs, maxMs, factor = 2, jitter = 0.5 } = this.options;
    // The exponent is capped, because factor ** 1100 is Infinity and Infinity × 0 is not a delay.
    const ceiling = Math.min(maxMs, baseMs * factor ** Math.min(this.failures, 64));
    this.failures += 1;
    return Math.round(ceiling * (1 - jitter * this.random.float()));
  }

  reset(): void {
    this.failures = 0;
  }
}
