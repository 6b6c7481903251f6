import { isStop, StopReason } from '../../runtime/stop-reason.js';
import { type Dependency, isFinal, planNext, type Skip } from './run-plan.js';
import type { RunProgress, StepUpdate } from './run-progress.js';

export interface RunSignals {
  /** The service stops: nothing new begins, whoever waits leaves; the stored run can be resumed. */
  readonly stop: AbortSignal;
  /** The time for a graceful end is over: calls in progress are cut. */
  readonly cut: AbortSignal;
  /** The user cancels the run: nothing new begins, what has begun comes to its true end. */
  readonly cancel: AbortSignal;
}

export interface NodeSignals extends RunSignals {
  /** Nothing waits for this node's health any more. */
  readonly unneeded: AbortSignal;
}

export interface NodeTask {
  readonly index: number;
  readonly signals: NodeSignals;
  /** Lets another node begin while this one only waits. */
  readonly releaseSlot: () => void;
}

export interface RunWork {
  /** For each node what it comes after. */
  readonly dependencies: readonly (readonly Dependency[])[];
  readonly stopOnFailure: boolean;
  /** Nodes that talk to the API server at the same time. */
  readonly parallel: number;
  /** Brings a node, from whatever state it is stored in, to a final outcome. Rejects with a StopReason when stopped. */
  work(task: NodeTask): Promise<void>;
}

interface Running {
  readonly unneeded: AbortController;
  readonly done: Promise<void>;
}

/** Takes the nodes of a run in their order. All it knows is stored, so that a cut run goes on by driving it again. */
export class RunDriver {
  private readonly running = new Map<number, Running>();
  private readonly abandon = new AbortController();
  private readonly signals: RunSignals;
  private busy = 0;
  private failure: { readonly error: unknown } | undefined;
  private wake: () => void = () => undefined;

  constructor(
    private readonly progress: RunProgress,
    private readonly run: RunWork,
    signals: RunSignals,
  ) {
    this.signals = {
      cancel: signals.cancel,
      stop: AbortSignal.any([signals.stop, this.abandon.signal]),
      cut: AbortSignal.any([signals.cut, this.abandon.signal]),
    };
  }

  /**
   * Whether every node has come to its end; false when the service stops before. Resolves and rejects only when nothing
   * of the run is in progress any more.
   *
   * @throws what a node's work or the database has thrown.
   */
  async drive(): Promise<boolean> {
    const { stop, cancel } = this.signals;
    const wake = (): void => this.wake();
    this.progress.onChange = wake;
    stop.addEventListener('abort', wake);
    cancel.addEventListener('abort', wake);
    try {
      for (;;) {
        const changed = new Promise<void>((resolve) => (this.wake = resolve));
        if (!stop.aborted) await this.beginNext();
        if (this.running.size === 0) break;
        await changed;
      }
    } catch (error) {
      this.fail(error);
      await Promise.all([...this.running.values()].map(({ done }) => done));
    } finally {
      stop.removeEventListener('abort', wake);
      cancel.removeEventListener('abort', wake);
    }
    if (this.failure !== undefined) throw this.failure.error;
    return this.progress.nodes.every(({ outcome }) => isFinal(outcome));
  }

  private async beginNext(): Promise<void> {
    const { start, skip, unneeded } = planNext(
      this.progress.nodes.map(({ outcome }, index) => ({ outcome, after: this.run.dependencies[index] ?? [] })),
      { stopOnFailure: this.run.stopOnFailure, cancelled: this.signals.cancel.aborted },
    );
    if (skip.length > 0) await this.progress.move(new Map(skip.map((each) => [each.index, this.skipped(each)])));
    for (const index of unneeded) this.running.get(index)?.unneeded.abort();
    const interrupted = this.progress.nodes.flatMap(({ outcome }, index) =>
      outcome === 'pending' || isFinal(outcome) ? [] : [index],
    );
    for (const index of [...interrupted, ...start]) {
      if (this.running.has(index)) continue;
      if (this.busy >= this.run.parallel) return;
      this.begin(index);
    }
  }

  private begin(index: number): void {
    const unneeded = new AbortController();
    this.busy += 1;
    let holdsSlot = true;
    const releaseSlot = (): void => {
      if (!holdsSlot) return;
      holdsSlot = false;
      this.busy -= 1;
      this.wake();
    };
    const task = { index, releaseSlot, signals: { ...this.signals, unneeded: unneeded.signal } };
    const done = this.run
      .work(task)
      .catch((error: unknown) => {
        if (!(isStop(error) && this.signals.stop.aborted)) this.fail(error);
      })
      .finally(() => {
        this.running.delete(index);
        releaseSlot();
        this.wake();
      });
    this.running.set(index, { unneeded, done });
  }

  /** The first failure counts; the others in progress are cut. */
  private fail(error: unknown): void {
    this.failure ??= { error };
    this.abandon.abort(new StopReason('the run'));
  }

  private skipped({ reason, becauseOf }: Skip): StepUpdate {
    const { nodes } = this.progress;
    const cause = becauseOf === null ? undefined : nodes[becauseOf];
    const because = cause === undefined ? 'the run was cancelled' : `${cause.nodeId} ended as ${cause.outcome}`;
    return { outcome: 'skipped', reason, message: `not reached: ${because}`, startedAt: null };
  }
}
