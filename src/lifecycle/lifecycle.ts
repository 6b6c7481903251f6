import { Inject, Injectable, Logger } from '@nestjs/common';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { Runnable } from '../runtime/runnable.js';
import { StopReason, isStop } from '../runtime/stop-reason.js';
import { type LifecycleConfig, lifecycleConfig } from './lifecycle.config.js';
import { LifecycleRegistry } from './lifecycle-registry.js';
import { PHASES, PHASE_SHARE, type Phase } from './phases.js';
import { Readiness } from './readiness.js';

/** What did not stop in its time, as `phase/name`; empty after a clean stop. */
export type Unstopped = readonly string[];

/**
 * The one owner of start and stop: phases start up in order and stop down in the other, everything of one phase at
 * once, under one deadline. Nothing else implements Nest's lifecycle hooks.
 */
@Injectable()
export class Lifecycle {
  private readonly log = new Logger(Lifecycle.name);
  private readonly starting = new AbortController();
  private readonly started: Phase[] = [];
  private readonly failed = Promise.withResolvers<unknown>();
  private startUp: Promise<void> | undefined;
  private shutDown: Promise<Unstopped> | undefined;

  constructor(
    private readonly registry: LifecycleRegistry,
    private readonly readiness: Readiness,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(lifecycleConfig.token) private readonly config: LifecycleConfig,
  ) {}

  /** Resolves with the error that makes it pointless to go on, if ever there is one. */
  get failure(): Promise<unknown> {
    return this.failed.promise;
  }

  /** Says that the service cannot go on. Whoever runs it stops it and tells; a wanted stop is no failure. */
  fail(error: unknown): void {
    if (!isStop(error)) this.failed.resolve(error);
  }

  /** Resolves when every phase is up. Rejects with the first failure, or with a StopReason when `stop` came before. */
  start(): Promise<void> {
    this.startUp ??= this.runStart();
    return this.startUp;
  }

  /** Idempotent. Resolves when all is gone, or the deadline over, with what did not stop. Never rejects. */
  stop(): Promise<Unstopped> {
    this.shutDown ??= this.runStop();
    return this.shutDown;
  }

  private async runStart(): Promise<void> {
    const { signal } = this.starting;
    for (const phase of PHASES) {
      signal.throwIfAborted();
      this.started.push(phase);
      const begun = this.clock.monotonic();
      await Promise.all(this.registry.of(phase).map((runnable) => runnable.start(signal)));
      this.log.debug({ message: 'phase started', phase, durationMs: Math.round(this.clock.monotonic() - begun) });
    }
    signal.throwIfAborted();
    this.readiness.markReady();
  }

  private async runStop(): Promise<Unstopped> {
    const wasReady = this.readiness.state === 'ready';
    this.readiness.markDraining();
    this.starting.abort(new StopReason('start-up'));
    const deadline = this.clock.monotonic() + this.config.shutdownTimeoutMs;
    if (wasReady && this.config.drainDelayMs > 0) await this.clock.sleep(this.config.drainDelayMs);

    const unstopped: string[] = [];
    const begun = this.clock.monotonic();
    let share = 0;
    for (const phase of PHASES.toReversed()) {
      // Cumulative, so that the time one phase leaves goes to the next.
      share += PHASE_SHARE[phase];
      if (this.started.includes(phase)) {
        unstopped.push(...(await this.stopPhase(phase, begun + (deadline - begun) * share)));
      }
    }
    // A start that was under way has lost its ground; what it says now is no news.
    await this.startUp?.catch(() => undefined);
    return unstopped;
  }

  private async stopPhase(phase: Phase, deadline: number): Promise<Unstopped> {
    const begun = this.clock.monotonic();
    const late = new AbortController();
    const timer = this.clock.after(Math.max(0, deadline - begun), () => late.abort(new StopReason(`phase ${phase}`)));
    const results = await Promise.all(
      this.registry.of(phase).map((runnable) => this.stopOne(runnable, late.signal, phase)),
    );
    timer.cancel();
    this.log.log({ message: 'phase stopped', phase, durationMs: Math.round(this.clock.monotonic() - begun) });
    return results.filter((name) => name !== undefined);
  }

  /** The name if it did not stop. Past its time it gets a moment to cut what is left, then the next phase goes on. */
  private async stopOne(runnable: Runnable, deadline: AbortSignal, phase: Phase): Promise<string | undefined> {
    const name = `${phase}/${runnable.name}`;
    const givenUp = new Promise<'late'>((resolve) => {
      const giveUp = (): void => void this.clock.after(this.config.cutGraceMs, () => resolve('late'), { unref: true });
      if (deadline.aborted) giveUp();
      else deadline.addEventListener('abort', giveUp, { once: true });
    });
    try {
      const outcome = await Promise.race([runnable.stop(deadline), givenUp]);
      if (outcome !== 'late') return undefined;
      this.log.error({ message: 'did not stop in its time', runnable: name });
    } catch (error) {
      this.log.error({ message: 'failed while stopping', runnable: name, error });
    }
    return name;
  }
}
