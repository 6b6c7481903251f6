import { Inject, Injectable } from '@nestjs/common';
import { Backoff } from '../../runtime/backoff.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import type { RunSignals } from './run-driver.js';

const MAX_ATTEMPTS = 6;
const MAX_TOTAL_MS = 60_000;

/** A few tries of one thing, further and further apart, within a bound. */
export interface Attempts {
  /** Waits for the next try; false when there is none. Rejects with a StopReason when the service stops. */
  another(retryAfterMs?: number): Promise<boolean>;
}

@Injectable()
export class AttemptsFactory {
  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  begin({ stop, cancel }: Pick<RunSignals, 'stop' | 'cancel'>): Attempts {
    const backoff = new Backoff({ baseMs: 500, maxMs: 8_000 }, this.random);
    const deadline = this.clock.monotonic() + MAX_TOTAL_MS;
    return {
      another: async (retryAfterMs = 0) => {
        stop.throwIfAborted();
        const delayMs = Math.max(backoff.next(), retryAfterMs);
        const isOver = backoff.consecutiveFailures >= MAX_ATTEMPTS || this.clock.monotonic() + delayMs > deadline;
        if (isOver || cancel.aborted) return false;
        try {
          await this.clock.sleep(delayMs, AbortSignal.any([stop, cancel]));
        } catch {
          stop.throwIfAborted();
          return false;
        }
        return true;
      },
    };
  }
}
