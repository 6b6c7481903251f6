import type { EventBus } from '../../realtime/index.js';
import type { Clock } from '../../runtime/clock.js';
import type { ActiveRun, RunStep, StepChange } from '../runs/active-run.js';
import type { RunsRepository } from '../runs/runs.repository.js';
import { isFinal } from './run-plan.js';

export type StepUpdate = Partial<RunStep> & Pick<RunStep, 'outcome'>;

/** The stored run is not the one that this process works on: somebody ended it. */
export class RunLost extends Error {
  constructor(runId: string) {
    super(`run ${runId} was changed by somebody else`);
    this.name = 'RunLost';
  }
}

export interface RunProgressPorts {
  readonly runs: Pick<RunsRepository, 'advance'>;
  readonly bus: Pick<EventBus, 'publish'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** How far a run is. Each change is stored first, one after another, and then told. */
export class RunProgress {
  /** Called after each stored change. */
  onChange: () => void = () => undefined;
  private readonly steps: RunStep[];
  private writing: Promise<unknown> = Promise.resolve();

  constructor(
    readonly run: ActiveRun,
    private readonly ports: RunProgressPorts,
  ) {
    this.steps = [...run.nodes];
  }

  get nodes(): readonly RunStep[] {
    return this.steps;
  }

  step(index: number): RunStep {
    const step = this.steps[index];
    if (step === undefined) throw new Error(`run ${this.run.id} has no node ${index}`);
    return step;
  }

  /** @throws RunLost, or what the database throws: then nothing of it is stored. */
  async move(updates: ReadonlyMap<number, StepUpdate>): Promise<void> {
    // A failed write was told to whoever asked for it; the next one must not fail for it.
    const write = this.writing.catch(() => undefined).then(() => this.store(updates));
    this.writing = write;
    await write;
    this.onChange();
  }

  private async store(updates: ReadonlyMap<number, StepUpdate>): Promise<void> {
    const now = new Date(this.ports.clock.now()).toISOString();
    const changes = [...updates].map(([index, update]): StepChange => {
      const step = this.step(index);
      return {
        index,
        from: step.outcome,
        to: {
          startedAt: step.startedAt ?? now,
          ...(isFinal(update.outcome) ? { endedAt: now, waitUntil: null } : {}),
          ...update,
        },
      };
    });
    const run = await this.ports.runs.advance(this.run.id, changes);
    if (run === null) throw new RunLost(this.run.id);
    for (const { index, to } of changes) this.steps[index] = { ...this.step(index), ...to };
    this.ports.bus.publish('run.changed', { run }, { coalesceKey: run.id });
  }
}
