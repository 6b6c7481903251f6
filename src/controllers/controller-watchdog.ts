import { Inject, Injectable, Logger } from '@nestjs/common';
import { Gauge, type Registry } from 'prom-client';
import { PeriodicTasks } from '../lifecycle/index.js';
import { METRICS_REGISTRY } from '../metrics/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { PeriodicTask } from '../runtime/periodic-task.js';
import type { Runnable } from '../runtime/runnable.js';
import { ControllerManager } from './controller-manager.js';
import type { ControllerRecord } from './controller-record.js';
import { ControllerRecordsRepository } from './controller-records.repository.js';

const PERIODS = 3;
const LOOK_MS = 10_000;

/**
 * Tells which controllers have not succeeded for three periods, on every replica: their leader may be the one that
 * hangs. A paused one is none of them; one that was resumed, and a service that has just started, get their time.
 */
@Injectable()
export class ControllerWatchdog implements Runnable {
  readonly name = 'controller watchdog';
  private readonly log = new Logger(ControllerWatchdog.name);
  private readonly task: PeriodicTask;
  private readonly gauge: Gauge<'controller'>;
  private watchingSince: number;
  private current: ReadonlySet<string> = new Set();

  constructor(
    private readonly manager: ControllerManager,
    private readonly records: ControllerRecordsRepository,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(METRICS_REGISTRY) registry: Registry,
    tasks: PeriodicTasks,
  ) {
    this.watchingSince = clock.now();
    this.gauge = new Gauge({
      name: 'crowsnest_controller_overdue',
      help: `Whether a controller has not succeeded for ${PERIODS} periods on any replica.`,
      labelNames: ['controller'],
      registers: [registry],
    });
    this.task = tasks.create({
      name: this.name,
      periodMs: LOOK_MS,
      runOnce: () => this.look(),
      onError: (error) => this.log.warn({ message: 'the controllers could not be looked at', error }),
    });
  }

  /** Names of those that were overdue at the last look, for the readiness detail. */
  get overdue(): readonly string[] {
    return [...this.current];
  }

  isOverdue({ name, paused, lastSuccessAt, pauseChangedAt, createdAt }: ControllerRecord): boolean {
    const reconciler = this.manager.find(name);
    if (!reconciler || paused) return false;
    const since = Math.max(Number(lastSuccessAt ?? createdAt), Number(pauseChangedAt), this.watchingSince);
    return this.clock.now() - since > PERIODS * reconciler.periodMs;
  }

  start(): Promise<void> {
    this.watchingSince = this.clock.now();
    for (const controller of this.manager.names) this.gauge.set({ controller }, 0);
    return this.task.start();
  }

  stop(): Promise<void> {
    return this.task.stop();
  }

  private async look(): Promise<void> {
    const records = await this.records.list();
    const overdue = new Set(records.filter((record) => this.isOverdue(record)).map(({ name }) => name));
    for (const controller of this.manager.names) {
      const [is, was] = [overdue.has(controller), this.current.has(controller)];
      this.gauge.set({ controller }, is ? 1 : 0);
      if (is && !was) this.log.error({ message: `a controller has not succeeded for ${PERIODS} periods`, controller });
      if (was && !is) this.log.log({ message: 'a controller is no longer overdue', controller });
    }
    this.current = overdue;
  }
}
