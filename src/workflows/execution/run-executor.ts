import { Inject, Injectable, Logger } from '@nestjs/common';
import { EventBus } from '../../realtime/index.js';
import { Backoff } from '../../runtime/backoff.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import type { Runnable } from '../../runtime/runnable.js';
import { isStop, StopReason } from '../../runtime/stop-reason.js';
import type { ActiveRun } from '../runs/active-run.js';
import { RunsRepository } from '../runs/runs.repository.js';
import { RunsMetrics } from '../runs.metrics.js';
import { ArchiveRun } from './archive-run.js';
import { ExecuteRun } from './execute-run.js';
import { report } from './node-report.js';
import type { RunSignals } from './run-driver.js';
import { isFinal } from './run-plan.js';
import { RunLost, RunProgress } from './run-progress.js';
import { runResult } from './run-result.js';

const PARALLEL_RUNS = 8;
const RUNS_KEPT = 50;
/** Errors of ours in a row, without a stored step between them, after which a run is ended as failed. */
const MAX_FAILURES = 5;

interface Submitted {
  readonly cancel: AbortController;
  readonly done: Promise<void>;
}

/**
 * Carries out the stored runs, those that a stop or a crash has interrupted too. The database is the queue: a run waits
 * there as `running` until one of the places is free, so what is held here is an id for each.
 */
@Injectable()
export class RunExecutor implements Runnable {
  readonly name = 'run executor';
  private readonly log = new Logger(RunExecutor.name);
  private readonly submitted = new Map<string, Submitted>();
  private readonly waiting: Array<() => void> = [];
  private readonly stopping = new AbortController();
  private readonly cutting = new AbortController();
  private places = PARALLEL_RUNS;
  private started = false;

  constructor(
    private readonly runs: RunsRepository,
    private readonly executeRun: ExecuteRun,
    private readonly archiveRun: ArchiveRun,
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'publish'>,
    private readonly metrics: RunsMetrics,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  /** Goes on with every run that is stored as running. */
  async start(): Promise<void> {
    if (this.started || this.stopping.signal.aborted) return;
    this.started = true;
    const interrupted = await this.runs.activeIds();
    for (const id of interrupted) this.submit(id);
    if (interrupted.length > 0) this.log.log({ message: 'going on with interrupted runs', count: interrupted.length });
  }

  /** Ends between two nodes: calls in progress come to their end, or are cut at the deadline; waits are left. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.stopping.abort(new StopReason(this.name));
    for (const begin of this.waiting.splice(0)) begin();
    const cut = (): void => this.cutting.abort(new StopReason(this.name));
    if (deadline.aborted) cut();
    deadline.addEventListener('abort', cut, { once: true });
    await Promise.all([...this.submitted.values()].map(({ done }) => done));
    deadline.removeEventListener('abort', cut);
  }

  /** Takes a stored run on. Before the start and after the stop the stored run itself is enough: a start finds it. */
  submit(runId: string): void {
    if (!this.started || this.stopping.signal.aborted || this.submitted.has(runId)) return;
    const cancel = new AbortController();
    const done = this.take(runId, cancel).finally(() => this.submitted.delete(runId));
    this.submitted.set(runId, { cancel, done });
    this.metrics.inProgress(this.submitted.size);
  }

  /** Tells a run in progress that its cancellation is stored. */
  cancel(runId: string): void {
    this.submitted.get(runId)?.cancel.abort();
  }

  private async take(runId: string, cancel: AbortController): Promise<void> {
    if (this.places === 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.places -= 1;
    try {
      await this.persist(runId, cancel);
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.places += 1;
      else next();
      this.metrics.inProgress(this.submitted.size - 1);
    }
  }

  /** Goes on with a run until it has ended, whatever fails on our side: the database may be away for a while. */
  private async persist(runId: string, cancel: AbortController): Promise<void> {
    const { signal: stop } = this.stopping;
    const backoff = new Backoff({ baseMs: 1_000, maxMs: 60_000 }, this.random);
    let failedAt = -1;
    while (!stop.aborted) {
      let version = failedAt;
      try {
        const run = await this.runs.load(runId);
        if (run === null) return;
        version = run.version;
        if (version !== failedAt) backoff.reset();
        if (run.cancelRequested) cancel.abort();
        if (backoff.consecutiveFailures >= MAX_FAILURES) await this.giveUp(run);
        else await this.carryOut(run, { stop, cut: this.cutting.signal, cancel: cancel.signal });
        return;
      } catch (error) {
        if (isStop(error) && stop.aborted) return;
        if (error instanceof RunLost) {
          this.log.warn({ message: 'a run was ended by somebody else', runId });
          return;
        }
        failedAt = version;
        const retryInMs = backoff.next();
        this.log.error({ message: 'a run was interrupted by an error and will go on', runId, retryInMs, error });
        await this.clock.sleep(retryInMs, stop).catch((reason: unknown) => {
          if (!isStop(reason)) throw reason;
        });
      }
    }
  }

  private async carryOut(run: ActiveRun, signals: RunSignals): Promise<void> {
    const progress = this.progressOf(run);
    const kind = run.kind === 'execute' ? this.executeRun : this.archiveRun;
    if (await kind.drive(progress, signals)) await this.end(progress, signals.cancel.aborted);
  }

  /** The same error came back without a step in between: nobody is helped by a run that never ends. */
  private async giveUp(run: ActiveRun): Promise<void> {
    const progress = this.progressOf(run);
    const open = run.nodes.flatMap(({ outcome }, index) => (isFinal(outcome) ? [] : [index]));
    const failed = report('failed', 'internal', 'an internal error stopped the run; the log of the service has it');
    if (open.length > 0) await progress.move(new Map(open.map((index) => [index, failed])));
    if (run.kind === 'archive') await this.archiveRun.settle(progress);
    await this.end(progress, false);
  }

  private async end({ run, nodes }: RunProgress, isCancelled: boolean): Promise<void> {
    const { state, message } = runResult(nodes, isCancelled);
    const ended = await this.runs.end(run.id, state, message, new Date(this.clock.now()));
    if (ended === null) throw new RunLost(run.id);
    this.bus.publish('run.changed', { run: ended }, { coalesceKey: ended.id });
    this.metrics.ended(ended);
    const { workflowName: workflow } = run.definition;
    this.log.log({ message: 'a run has ended', workflow, runId: run.id, kind: run.kind, state });
    await this.runs.prune(run.workflowId, RUNS_KEPT);
  }

  private progressOf(run: ActiveRun): RunProgress {
    return new RunProgress(run, { runs: this.runs, bus: this.bus, clock: this.clock });
  }
}
