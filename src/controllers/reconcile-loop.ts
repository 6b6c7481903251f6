import { Logger } from '@nestjs/common';
import { type Elector, type HeldLease, LeaseLost } from '../leader-election/index.js';
import type { EventBus } from '../realtime/index.js';
import { Backoff } from '../runtime/backoff.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import type { Runnable } from '../runtime/runnable.js';
import { StopReason } from '../runtime/stop-reason.js';
import type { ControllerMetrics } from './controller-metrics.js';
import type { ControllerRecord } from './controller-record.js';
import type { ControllerRecordsRepository } from './controller-records.repository.js';
import type { ControllersConfig } from './controllers.config.js';
import { type RoundOutcome, runRound, timeoutOf } from './reconcile-round.js';
import type { Reconciler } from './reconciler.js';
import { RoundReports, resultOf } from './round-reports.js';

/** Of the period, to either side. */
const JITTER = 0.1;
const FIRST_RETRY_MS = 1_000;
const MAX_STORE_RETRY_MS = 30_000;

export interface ReconcileLoopOptions {
  readonly reconciler: Reconciler;
  readonly elector: Elector;
  readonly records: ControllerRecordsRepository;
  readonly metrics: ControllerMetrics;
  readonly bus: EventBus;
  readonly config: ControllersConfig;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Runs one reconciler: competes for its lease, and while it has it, runs a round whenever one is due or asked for. What
 * is due stands in the record, so that there is one round in a period over all replicas and restarts.
 */
export class ReconcileLoop implements Runnable {
  private readonly log = new Logger(ReconcileLoop.name);
  private readonly retry: Backoff;
  private readonly reports: RoundReports;
  private running:
    { readonly stopping: AbortController; readonly cut: AbortController; readonly loop: Promise<void> } | undefined;
  private hanging: Promise<void> | undefined;
  private hasLed = false;
  private wakeUp = new AbortController();

  constructor(private readonly options: ReconcileLoopOptions) {
    this.retry = new Backoff({ baseMs: FIRST_RETRY_MS, maxMs: MAX_STORE_RETRY_MS }, options.random);
    this.reports = new RoundReports(this.name, options);
    options.metrics.setControllerRunning(this.name, false);
  }

  get name(): string {
    return this.options.reconciler.name;
  }

  get reconciler(): Reconciler {
    return this.options.reconciler;
  }

  get isLeader(): boolean {
    return this.options.elector.isLeader;
  }

  /** Looks at the record now: somebody has changed it. */
  wake(): void {
    this.wakeUp.abort();
  }

  async start(): Promise<void> {
    if (this.running) return;
    const [stopping, cut] = [new AbortController(), new AbortController()];
    const forget = this.options.elector.onChange((isLeader) => {
      if (!isLeader) this.reconciler.resigned?.();
    });
    stopping.signal.addEventListener('abort', forget, { once: true });
    await this.options.elector.start();
    this.running = { stopping, cut, loop: this.run(stopping.signal, cut.signal) };
    this.options.metrics.setControllerRunning(this.name, true);
  }

  /**
   * Lets the round in progress end, or aborts it at the deadline; then gives the lease back.
   *
   * @throws if the round ignores its abort, or ended never since an earlier one.
   */
  async stop(deadline: AbortSignal): Promise<void> {
    const { running } = this;
    if (!running) return;
    running.stopping.abort(new StopReason(this.name));
    const onDeadline = (): void => running.cut.abort(new StopReason(`the round of ${this.name}`));
    deadline.addEventListener('abort', onDeadline, { once: true });
    if (deadline.aborted) onDeadline();
    await running.loop;
    deadline.removeEventListener('abort', onDeadline);
    await this.options.elector.stop(deadline);
    this.running = undefined;
    this.options.metrics.setControllerRunning(this.name, false);
    if (this.hanging) throw new Error(`the round of ${this.name} ignores its abort`);
  }

  /** Never rejects. */
  private async run(stopping: AbortSignal, cut: AbortSignal): Promise<void> {
    const { elector, clock } = this.options;
    while (!stopping.aborted) {
      try {
        const lease = await elector.whenHeld(stopping);
        await this.lead(lease, stopping, cut);
        if (this.hanging) await this.sitOut(this.hanging, stopping);
      } catch (error) {
        if (stopping.aborted) return;
        if (error instanceof LeaseLost) continue;
        const retryInMs = this.retry.next();
        this.log.warn({ message: 'a controller cannot go on', controller: this.name, retryInMs, error });
        await clock.sleep(retryInMs, stopping).catch(() => undefined);
      }
    }
  }

  /** Until the lease is lost, or it is stopped, or a round hangs. Rejects when the record cannot be read or written. */
  private async lead(lease: HeldLease, stopping: AbortSignal, cut: AbortSignal): Promise<void> {
    const { records, clock, config } = this.options;
    const until = AbortSignal.any([stopping, lease.signal]);
    const adopted = await this.adopt(lease);
    let { record } = adopted;
    let dueAt = clock.monotonic() + adopted.dueInMs;
    while (!until.aborted) {
      const dueInMs = record.requested > record.answered ? 0 : dueAt - clock.monotonic();
      let lookInMs = record.paused ? config.lookMs : Math.min(config.lookMs, dueInMs);
      if (!record.paused && dueInMs <= 0) {
        const nextInMs = await this.round(lease, cut);
        if (this.hanging) return;
        // Null: paused a moment ago, or led by another; the next look at the record or the lease tells.
        lookInMs = nextInMs === null ? config.lookMs : 0;
        if (nextInMs !== null) dueAt = clock.monotonic() + nextInMs;
      }
      if (lookInMs > 0) await this.sleep(lookInMs, until);
      if (until.aborted) return;
      record = (await records.find(this.name)) ?? record;
      this.retry.reset();
    }
  }

  private async adopt(lease: HeldLease): Promise<{ record: ControllerRecord; dueInMs: number }> {
    const { records, reconciler, clock, random } = this.options;
    await records.ensure(this.name, new Date(clock.now()));
    const atOnce = reconciler.reconcileOnStart === true && !this.hasLed;
    const firstDelayMs = Math.round(random.float() * reconciler.periodMs);
    lease.assertHeld();
    const adopted = await records.adopt(this.name, lease, { atOnce, firstDelayMs });
    if (!adopted) throw new Error('the stored record belongs to a later epoch than the lease');
    this.hasLed = true;
    // A server whose clock was set back, or a longer period before, puts no round off for longer than a period.
    const dueInMs = Math.min(adopted.dueInMs, reconciler.periodMs * (1 + JITTER));
    return { record: adopted.record, dueInMs };
  }

  /** Milliseconds until the next round; null if none was run, or its end could not be told. */
  private async round(lease: HeldLease, cut: AbortSignal): Promise<number | null> {
    const { records, reconciler, config, clock, random } = this.options;
    const roundId = random.uuid();
    lease.assertHeld();
    const begun = await records.begin(this.name, lease, roundId);
    if (!begun) return null;
    const outcome = await runRound(reconciler, lease, {
      timeoutMs: timeoutOf(reconciler),
      graceMs: config.graceMs,
      cut,
      clock,
    });
    this.watchHanging(outcome);
    if (outcome.kind === 'cut') {
      this.log.log({ message: 'a round was cut short', controller: this.name, durationMs: outcome.durationMs });
      if (!lease.signal.aborted) await records.abandon(this.name, lease, roundId);
      return null;
    }
    this.reports.measure(outcome);
    const failures = outcome.kind === 'failure' ? begun.consecutiveErrors + 1 : 0;
    const nextInMs = this.delayAfter(failures);
    this.reports.report(outcome, lease, failures, nextInMs);
    lease.assertHeld();
    const finished = await records.finish(this.name, lease, roundId, resultOf(outcome, nextInMs));
    return finished && nextInMs;
  }

  private delayAfter(failures: number): number {
    const { reconciler, random } = this.options;
    const { periodMs } = reconciler;
    const jittered = periodMs * (1 + JITTER * (2 * random.float() - 1));
    if (failures === 0) return Math.round(jittered);
    const backoffMs = FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 30) * (1 + JITTER * random.float());
    return Math.round(Math.min(backoffMs, jittered));
  }

  private watchHanging({ hanging }: RoundOutcome): void {
    if (!hanging) return;
    this.hanging = hanging;
    this.log.error({ message: 'a round ignores its abort; the lead goes to another replica', controller: this.name });
    void hanging.then(() => {
      this.hanging = undefined;
      this.log.log({ message: 'a round that hung has ended', controller: this.name });
    });
  }

  /** Leaves the duty to another replica: this one must not begin a round beside the one that hangs. */
  private async sitOut(hanging: Promise<void>, stopping: AbortSignal): Promise<void> {
    const { elector } = this.options;
    const stopped = Promise.withResolvers<void>();
    stopping.addEventListener('abort', () => stopped.resolve(), { once: true });
    if (stopping.aborted) stopped.resolve();
    await elector.stop(stopping);
    await Promise.race([hanging, stopped.promise]);
    if (!stopping.aborted) await elector.start();
  }

  private async sleep(ms: number, until: AbortSignal): Promise<void> {
    await this.options.clock.sleep(ms, AbortSignal.any([until, this.wakeUp.signal])).catch(() => undefined);
    if (this.wakeUp.signal.aborted) this.wakeUp = new AbortController();
  }
}
