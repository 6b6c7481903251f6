import { Backoff } from '../../runtime/backoff.js';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import { StopReason } from '../../runtime/stop-reason.js';
import { isCircleRefusal } from '../connections/gateway-circle.js';
import type { Subsystem, SubsystemDirectory } from '../registry/subsystem-directory.js';
import type { FailureReason } from '../routing/answer.js';
import { failureReason } from '../routing/failure-reason.js';

const BACKOFF = { baseMs: 1_000, maxMs: 30_000 };

/** One connection to what a subsystem tells: until it breaks, or the signal aborts because the subsystem is not there. */
export type UpstreamSession = (signal: AbortSignal, begun: () => void) => Promise<void>;

export interface UpstreamContext {
  readonly directory: Pick<SubsystemDirectory, 'onChange'>;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Session after session with one subsystem while it is connected: after each that ended, in whatever way, the next
 * begins in 1 s, later 30 s, with jitter; at once when the subsystem has connected anew.
 */
export class Upstream {
  /** Why nothing comes for now. */
  failure: FailureReason | undefined;
  /** It is a gateway that the watchers came through: nothing of it is missing. */
  isCircle = false;
  private readonly end = new AbortController();
  private readonly backoff: Backoff;
  private loop: Promise<void> | undefined;

  constructor(
    readonly subsystem: Subsystem,
    private readonly context: UpstreamContext,
    private readonly session: UpstreamSession,
  ) {
    this.backoff = new Backoff(BACKOFF, context.random);
  }

  /** Why the subsystem's part is missing now. */
  get missing(): FailureReason | undefined {
    return this.subsystem.state === 'connected' ? this.failure : this.subsystem.state;
  }

  start(): void {
    this.loop ??= this.run();
  }

  async stop(): Promise<void> {
    this.end.abort(new StopReason('upstream'));
    await this.loop;
  }

  private async run(): Promise<void> {
    const { signal } = this.end;
    while (!signal.aborted) {
      if (this.subsystem.state !== 'connected') {
        await this.changed(signal, 'connected');
        this.backoff.reset();
        continue;
      }
      await this.runSession(signal);
      if (!signal.aborted && this.subsystem.state === 'connected') await this.pause(signal);
    }
  }

  private async runSession(signal: AbortSignal): Promise<void> {
    const cut = new AbortController();
    const stopListening = this.context.directory.onChange(({ kind, subsystem }) => {
      if (subsystem !== this.subsystem || (kind !== 'stale' && kind !== 'removed')) return;
      cut.abort(new StopReason('the subsystem left'));
    });
    try {
      await this.session(AbortSignal.any([signal, cut.signal]), () => {
        this.failure = undefined;
        this.isCircle = false;
        this.backoff.reset();
      });
      this.failure = 'unreachable';
    } catch (error) {
      this.isCircle = isCircleRefusal(error);
      this.failure = this.isCircle ? undefined : failureReason(error);
    } finally {
      stopListening();
    }
  }

  private async pause(signal: AbortSignal): Promise<void> {
    const wake = new AbortController();
    const either = AbortSignal.any([signal, wake.signal]);
    const connected = this.changed(either, 'connected');
    const slept = this.context.clock.sleep(this.backoff.next(), either).catch(() => undefined);
    await Promise.race([connected, slept]);
    wake.abort();
    await Promise.all([connected, slept]);
  }

  /** Resolves too when the signal aborts. */
  private changed(signal: AbortSignal, wanted: 'connected'): Promise<void> {
    return new Promise((resolve) => {
      const stopListening = this.context.directory.onChange(({ kind, subsystem }) => {
        if (subsystem === this.subsystem && kind === wanted) done();
      });
      const done = (): void => {
        stopListening();
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }
}
