import { Code, ConnectError } from '@connectrpc/connect';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import { CircuitBreaker } from './circuit-breaker.js';

const TIMEOUTS = 3;
/** A caller in a greater hurry than this says nothing of the subsystem. */
const LEAST_WAIT_MS = 1_000;

/** Leave to ask a subsystem in one fan-out, or poll. */
export interface FanOutTurn {
  /** It was left out before and this finds out whether it answers again: nobody is to wait for it longer than for others. */
  readonly isProbe: boolean;
  /** Until the deadline for all that is asked of it in this fan-out; 0 or less when that has passed. */
  readonly leftMs: number;
  /** To be told once. @param error what the asking ended with, if it failed. */
  ended(error?: unknown): void;
}

/**
 * Keeps fan-outs from waiting for a subsystem that takes calls and does not answer them, which no dial finds out. After 3
 * consecutive timeouts it gets no turn; after a pause one fan-out may probe it, and what comes of that decides. What is
 * polled takes turns too. Calls to it alone, and streams, are none of its business.
 */
export class TimeoutBreaker {
  private readonly breaker: CircuitBreaker;
  private isProbed = false;

  /** @param callTimeoutMs of one call, and of all in one fan-out. */
  constructor(
    private readonly clock: Clock,
    random: Random,
    private readonly callTimeoutMs: number,
  ) {
    this.breaker = new CircuitBreaker(clock, random, TIMEOUTS);
  }

  /** Whether fan-outs leave it out, but for probes. */
  get isOpen(): boolean {
    return this.breaker.hasTripped;
  }

  /** undefined: it is left out. */
  begin(): FanOutTurn | undefined {
    const isProbe = this.breaker.hasTripped;
    if (isProbe && (this.breaker.isOpen || this.isProbed)) return undefined;
    if (isProbe) this.isProbed = true;
    return new Turn(isProbe, this.clock, this.callTimeoutMs, (waitedMs, error) => {
      if (isProbe) this.isProbed = false;
      this.learn(isProbe, waitedMs, error);
    });
  }

  private learn(isProbe: boolean, waitedMs: number, error: unknown): void {
    const code = error === undefined ? undefined : ConnectError.from(error).code;
    if (code === Code.DeadlineExceeded) {
      if (isProbe || waitedMs >= Math.min(LEAST_WAIT_MS, this.callTimeoutMs)) this.failed(isProbe);
    } else if (code === Code.Unavailable || code === Code.Canceled) {
      // Neither an answer nor a timeout; but a probe has not shown that it answers.
      if (isProbe) this.failed(isProbe);
    } else {
      this.breaker.succeeded();
    }
  }

  /** Those that were asked before it tripped and time out after that are late news. */
  private failed(isProbe: boolean): void {
    if (isProbe || !this.breaker.hasTripped) this.breaker.failed();
  }
}

class Turn implements FanOutTurn {
  private readonly beganAt: number;
  private isOver = false;

  constructor(
    readonly isProbe: boolean,
    private readonly clock: Clock,
    private readonly timeoutMs: number,
    private readonly onEnd: (waitedMs: number, error: unknown) => void,
  ) {
    this.beganAt = clock.monotonic();
  }

  get leftMs(): number {
    return this.beganAt + this.timeoutMs - this.clock.monotonic();
  }

  ended(error?: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onEnd(this.clock.monotonic() - this.beganAt, error);
  }
}
