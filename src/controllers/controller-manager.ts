import { Inject, Injectable, Logger } from '@nestjs/common';
import { LeaderElection } from '../leader-election/index.js';
import { EventBus } from '../realtime/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { RANDOM, type Random } from '../runtime/random.js';
import type { Runnable } from '../runtime/runnable.js';
import { CONTROLLER_METRICS, type ControllerMetrics } from './controller-metrics.js';
import { ControllerRecordsRepository } from './controller-records.repository.js';
import { type ControllersConfig, controllersConfig } from './controllers.config.js';
import { ReconcileLoop } from './reconcile-loop.js';
import type { Reconciler } from './reconciler.js';

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** The duty under which a controller's replicas elect their leader. */
export function dutyOf(controller: string): string {
  return `controller/${controller}`;
}

/** Runs the reconcilers, each in a loop of its own, so that none harms another. */
@Injectable()
export class ControllerManager implements Runnable {
  readonly name = 'controller manager';
  private readonly log = new Logger(ControllerManager.name);
  private readonly loops = new Map<string, ReconcileLoop>();
  private hasStarted = false;

  constructor(
    private readonly election: LeaderElection,
    private readonly records: ControllerRecordsRepository,
    @Inject(CONTROLLER_METRICS) private readonly metrics: ControllerMetrics,
    private readonly bus: EventBus,
    @Inject(controllersConfig.token) private readonly config: ControllersConfig,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  /** @throws Error for a name that is taken or not in kebab-case, for a period that is no time, and after the start. */
  register(reconciler: Reconciler): void {
    const { name, periodMs } = reconciler;
    if (this.hasStarted) throw new Error(`the controller ${name} is registered after the start`);
    if (!NAME.test(name)) throw new Error(`"${name}" is not a name for a controller: it has to be in kebab-case`);
    if (!(periodMs > 0)) throw new Error(`the controller ${name} has no period`);
    if (this.loops.has(name)) throw new Error(`there are two controllers called ${name}`);
    const { records, metrics, bus, config, clock, random } = this;
    const elector = this.election.elector(dutyOf(name));
    this.loops.set(name, new ReconcileLoop({ reconciler, elector, records, metrics, bus, config, clock, random }));
  }

  get names(): string[] {
    return [...this.loops.keys()].toSorted();
  }

  get count(): number {
    return this.loops.size;
  }

  /** Undefined unless it is registered. */
  find(name: string): Reconciler | undefined {
    return this.loops.get(name)?.reconciler;
  }

  /** Has the controller's loop look at its record now, in case this replica leads it. */
  wake(name: string): void {
    this.loops.get(name)?.wake();
  }

  /** All in parallel. */
  async start(): Promise<void> {
    this.hasStarted = true;
    await Promise.all([...this.loops.values()].map((loop) => loop.start()));
  }

  /**
   * Rounds in progress end, or are aborted at the deadline.
   *
   * @throws Error naming the controllers whose rounds ignore that.
   */
  async stop(deadline: AbortSignal): Promise<void> {
    const loops = [...this.loops.values()];
    const results = await Promise.allSettled(loops.map((loop) => loop.stop(deadline)));
    const unstopped = loops.filter((_, index) => results[index]?.status === 'rejected').map(({ name }) => name);
    if (unstopped.length === 0) return;
    this.log.error({ message: 'controllers did not stop', controllers: unstopped });
    throw new Error(`controllers did not stop: ${unstopped.join(', ')}`);
  }
}
