import { SchedulerRegistry } from '@nestjs/schedule';
import { Registry } from 'prom-client';
import type { Principal } from '../../src/auth/principal.js';
import { ControllerManager } from '../../src/controllers/controller-manager.js';
import { ControllerRecordsRepository } from '../../src/controllers/controller-records.repository.js';
import { ControllerWatchdog } from '../../src/controllers/controller-watchdog.js';
import { type ControllersConfig, controllersConfig } from '../../src/controllers/controllers.config.js';
import { ControllersService } from '../../src/controllers/controllers.service.js';
import { PrometheusControllerMetrics } from '../../src/controllers/prometheus-controller-metrics.js';
import type { Reconciler } from '../../src/controllers/reconciler.js';
import { type HeldLease, LeaderElection, leaderElectionConfig } from '../../src/leader-election/index.js';
import { PeriodicTasks, Readiness } from '../../src/lifecycle/index.js';
import { EventBus } from '../../src/realtime/index.js';
import type { BusEvent } from '../../src/realtime/bus/bus-event.js';
import { CryptoRandom } from '../../src/runtime/random.js';
import { configDefaults } from './config-defaults.js';
import { FakeClock, settle } from './fake-clock.js';
import { FakeLeaseStore } from './fake-lease-store.js';
import { ProcessClock } from './process-clock.js';
import { type TestDatabase, openTestDatabase } from './test-database.js';

export const ADMIN: Principal = { kind: 'user', id: 'ada', role: 'admin', tenantId: '*' };
export const PERIOD_MS = 60_000;
const STEP_MS = 100;
export const NEVER = new AbortController().signal;

interface Shared {
  readonly database: TestDatabase;
  readonly leases: FakeLeaseStore;
  readonly config: ControllersConfig;
  readonly unanswered: Unanswered;
}

/** The room in one process, with clocks of its own. */
async function createReplica({ database, leases, config, unanswered }: Shared, reconcilers: readonly Reconciler[]) {
  const clock = new ProcessClock();
  const random = new CryptoRandom();
  const registry = new Registry();
  const bus = new EventBus(clock, { eventBufferSize: 10_000 });
  const events: BusEvent<'controller.reconciled' | 'controller.changed'>[] = [];
  bus.subscribe('test', ['controller.reconciled', 'controller.changed'], (event) => void events.push(event));
  await bus.start();
  const election = new LeaderElection(leases, configDefaults(leaderElectionConfig), clock, random, registry);
  const records = unanswered.track(new ControllerRecordsRepository(database.connection));
  const metrics = new PrometheusControllerMetrics(registry, 'crowsnest');
  const manager = new ControllerManager(election, records, metrics, bus, config, clock, random);
  const tasks = new PeriodicTasks(new SchedulerRegistry(), clock);
  const watchdog = new ControllerWatchdog(manager, records, clock, registry, tasks);
  const service = new ControllersService(manager, records, election, watchdog, bus, new Readiness(), config, clock);
  for (const reconciler of reconcilers) manager.register(reconciler);
  return { clock, registry, events, election, records, manager, watchdog, service, isPaused: false };
}
type Replica = Awaited<ReturnType<typeof createReplica>>;

/** Replicas of the room on one real store, with leases in memory by a clock that the test moves. */
export async function openControllers(overrides: Partial<ControllersConfig> = {}) {
  const database = await openTestDatabase();
  const storeClock = new FakeClock();
  const leases = new FakeLeaseStore(storeClock);
  const config = configDefaults(controllersConfig, overrides);
  const unanswered = new Unanswered();
  const replicas: Replica[] = [];

  /** A process with these reconcilers, to be started. */
  async function addReplica(...reconcilers: Reconciler[]): Promise<Replica> {
    const replica = await createReplica({ database, leases, config, unanswered }, reconcilers);
    replicas.push(replica);
    return replica;
  }

  /** A little time for all processes that are not paused. */
  async function step(stepMs = STEP_MS): Promise<void> {
    await storeClock.advance(stepMs);
    for (const { clock, isPaused } of replicas) {
      if (isPaused) clock.stall(stepMs);
      else await clock.advance(stepMs);
    }
    await unanswered.none();
  }

  /** Advances until the condition holds; tells how many milliseconds of fake time that took. */
  async function until(condition: () => boolean | Promise<boolean>, stepMs = STEP_MS): Promise<number> {
    const giveUpAt = performance.now() + 20_000;
    for (let passedMs = 0; performance.now() < giveUpAt; passedMs += stepMs) {
      if (await condition()) return passedMs;
      await step(stepMs);
    }
    throw new Error('it never came to be');
  }

  async function pass(ms: number, stepMs = STEP_MS): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) await step(stepMs);
  }

  /** Advances until the work is done. */
  async function finish<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    void Promise.allSettled([work]).then(() => (isDone = true));
    await until(() => isDone);
    return work;
  }

  async function close(): Promise<void> {
    for (const replica of replicas) {
      replica.isPaused = false;
      const stopped = Promise.allSettled([
        replica.manager.stop(AbortSignal.abort(new Error('end'))),
        replica.watchdog.stop(),
      ]);
      await finish(stopped);
    }
    await database.close();
  }

  return { database, storeClock, leases, config, addReplica, step, until, pass, finish, close };
}

/** Commands that the store has not answered: no fake time goes by while there are some. */
class Unanswered {
  private count = 0;

  /** The repository, with each of its calls counted. */
  track<T extends object>(repository: T): T {
    return new Proxy(repository, {
      get: (target, name, receiver) => {
        const member: unknown = Reflect.get(target, name, receiver);
        if (typeof member !== 'function') return member;
        return async (...given: unknown[]) => {
          this.count += 1;
          try {
            return (await Reflect.apply(member, target, given)) as unknown;
          } finally {
            this.count -= 1;
          }
        };
      },
    });
  }

  async none(): Promise<void> {
    await settle();
    while (this.count > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await settle();
    }
  }
}

export interface Round {
  readonly startedAt: number;
  readonly signal: AbortSignal;
  readonly lease: HeldLease;
}

/** A reconciler that does as the test says, and keeps what it was called with. */
export class ScriptedReconciler implements Reconciler {
  readonly rounds: Round[] = [];
  inFlight = 0;
  mostInFlight = 0;

  constructor(
    readonly name: string,
    private readonly script: (round: Round, index: number) => unknown = () => ({ processed: 3, changed: 1 }),
    readonly options: Partial<Pick<Reconciler, 'periodMs' | 'timeoutMs' | 'reconcileOnStart'>> = {},
    private readonly now: () => number = () => 0,
  ) {}

  get periodMs(): number {
    return this.options.periodMs ?? PERIOD_MS;
  }

  get timeoutMs(): number {
    return this.options.timeoutMs ?? 30_000;
  }

  get reconcileOnStart(): boolean {
    return this.options.reconcileOnStart ?? true;
  }

  async reconcile(signal: AbortSignal, lease: HeldLease): Promise<never> {
    const round = { signal, lease, startedAt: this.now() };
    this.rounds.push(round);
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    try {
      return (await this.script(round, this.rounds.length - 1)) as never;
    } finally {
      this.inFlight -= 1;
    }
  }
}
