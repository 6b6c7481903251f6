import { Backoff } from '../../runtime/backoff.js';
import type { Random } from '../../runtime/random.js';
import type { WatchFailure } from './watch-failure.js';

export interface RetryTiming {
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Health after which the failures before are forgotten. */
  readonly backoffResetMs: number;
  /** Longest delay of the first retry after a cut. */
  readonly firstRetryMs: number;
  readonly forbiddenRetryMaxMs: number;
}

export interface RetryPlan {
  readonly delayMs: number;
  /** The quick first retry: until it has failed too, a cut is forgiven. */
  readonly isFirst: boolean;
  /** Whether the wait may end as soon as the cluster answers a probe. */
  readonly untilBack: boolean;
}

/** After this much health a cut earns a quick retry. */
const STEADY_MS = 10_000;

/** When to try again after which failure. */
export class WatchRetry {
  private readonly backoff: Backoff;
  private readonly forbiddenBackoff: Backoff;
  private firstUsed = false;
  private wasWoken = false;

  constructor(
    private readonly timing: RetryTiming,
    private readonly random: Random,
  ) {
    this.backoff = new Backoff({ baseMs: timing.backoffBaseMs, maxMs: timing.backoffMaxMs }, random);
    this.forbiddenBackoff = new Backoff({ baseMs: timing.backoffBaseMs, maxMs: timing.forbiddenRetryMaxMs }, random);
  }

  /** What follows a failure after `healthyMs` of watching; 0 if no watch was opened since the last failure. */
  plan(failure: WatchFailure, healthyMs: number): RetryPlan {
    const { backoffResetMs } = this.timing;
    if (healthyMs >= Math.min(STEADY_MS, backoffResetMs)) this.firstUsed = false;
    if (healthyMs >= backoffResetMs) this.backoff.reset();

    const isFirst = !this.firstUsed && (failure.remedy === 'relist' || failure.unreachable);
    this.firstUsed = true;
    // A server that answers probes but refuses watches is not hammered: after an early end the next wait is full.
    const untilBack = failure.unreachable && !isFirst && !this.wasWoken;
    this.wasWoken = false;
    return { delayMs: Math.max(this.delayAfter(failure, isFirst), failure.retryAfterMs ?? 0), isFirst, untilBack };
  }

  /** A probe has ended the wait early. */
  woken(): void {
    this.wasWoken = true;
  }

  /** The rights reach now. */
  allowed(): void {
    this.forbiddenBackoff.reset();
  }

  /** Rights or credentials have changed: what failed before says nothing. */
  reset(): void {
    this.backoff.reset();
    this.forbiddenBackoff.reset();
  }

  private delayAfter({ remedy }: WatchFailure, isFirst: boolean): number {
    if (isFirst) return Math.round(this.timing.firstRetryMs * this.random.float());
    return remedy === 'forbidden' ? this.forbiddenBackoff.next() : this.backoff.next();
  }
}
