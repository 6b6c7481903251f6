import { ConnectError } from '@connectrpc/connect';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { Backoff } from '../../runtime/backoff.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { PeriodicTask } from '../../runtime/periodic-task.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import type { Runnable } from '../../runtime/runnable.js';
import { StopReason } from '../../runtime/stop-reason.js';
import { runPool } from '../../runtime/worker-pool.js';
import { callBackFailureOf, isAway } from './call-back-failure.js';
import { readCapabilities, readWorkflows } from './call-back.js';
import type { RegisteredSubsystem } from './registered-subsystem.js';
import { codeName } from './registry-counters.js';
import { SUBSYSTEM_CONNECTIONS, type SubsystemConnections } from './subsystem-connections.js';
import { type InstanceLife, instanceAt, instanceState } from './subsystem-life.js';
import { SubsystemRegistry } from './subsystem-registry.js';

const RETRY = { baseMs: 1_000, maxMs: 30_000 };
/** Who was reached is not doubted again for so long: a port that comes and goes is not called back at each call. */
const TRUST_MS = 1_000;
/** What a subsystem offers is asked again after this time; workflows that are looked for and not known, at once. */
const REFRESH_MS = 300_000;
const REFRESH_LOOK_MS = 5_000;
const REFRESH_POOL = 8;

interface CallBack {
  readonly abort: AbortController;
  readonly done: Promise<void>;
  /** The newest session that it knows of. */
  lastSessionId: number;
  /** Ends the pause between two tries. */
  wake: AbortController;
}

/**
 * Calls subsystems back at the endpoints that they announced: nothing is routed to one before that has succeeded, since
 * it may register before its own port listens. When a call finds nobody there any more it is called back at once, and
 * left out until that succeeds again: one refused connection alone changes nothing. Keeps what it offers up to date.
 */
@Injectable()
export class SubsystemCallBacks implements Runnable {
  readonly name = 'subsystem call-backs';
  private readonly log = new Logger(SubsystemCallBacks.name);
  private readonly callBacks = new Map<RegisteredSubsystem, Map<string, CallBack>>();
  private readonly refreshes: PeriodicTask;
  private unsubscribe: (() => void) | undefined;

  constructor(
    private readonly registry: SubsystemRegistry,
    @Inject(SUBSYSTEM_CONNECTIONS) private readonly connections: SubsystemConnections,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
  ) {
    this.refreshes = new PeriodicTask({
      name: 'subsystem capabilities',
      periodMs: REFRESH_LOOK_MS,
      runOnce: (signal) => this.refreshDue(signal),
      onError: (error) => this.log.warn({ message: 'capabilities could not be refreshed', error }),
      clock,
    });
  }

  async start(): Promise<void> {
    this.unsubscribe ??= this.registry.onChange(({ kind, subsystem }) => {
      if (kind === 'removed') this.giveUp(subsystem);
      else this.callNew(subsystem);
    });
    this.registry.onUnreachable((subsystem, endpoint) => this.doubt(subsystem, endpoint));
    for (const subsystem of this.registry.list(SYSTEM_SCOPE)) this.callNew(subsystem);
    await this.refreshes.start();
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    this.unsubscribe = undefined;
    this.registry.onUnreachable(undefined);
    const open = [...this.callBacks.values()].flatMap((ofOne) => [...ofOne.values()]);
    for (const { abort } of open) abort.abort(new StopReason(this.name));
    await Promise.all([this.refreshes.stop(), ...open.map(({ done }) => done)]);
  }

  private callNew(subsystem: RegisteredSubsystem): void {
    for (const instance of subsystem.life.instances) {
      if (instanceState(instance) !== 'connecting') continue;
      const { endpoint } = instance;
      const callBack = this.callBacks.get(subsystem)?.get(endpoint);
      const sessionId = newestSession(instance);
      if (!callBack) this.begin(subsystem, endpoint, sessionId);
      else if (callBack.lastSessionId < sessionId) {
        // It has been started anew, and need not wait for the next try.
        callBack.lastSessionId = sessionId;
        callBack.wake.abort();
      }
    }
  }

  private doubt(subsystem: RegisteredSubsystem, endpoint: string): void {
    const instance = instanceAt(subsystem.life, endpoint);
    if (!instance || instanceState(instance) !== 'connected' || this.callBacks.get(subsystem)?.has(endpoint)) return;
    if (instance.reachedAt !== null && this.clock.monotonic() - instance.reachedAt < TRUST_MS) return;
    this.begin(subsystem, endpoint, newestSession(instance));
  }

  private begin(subsystem: RegisteredSubsystem, endpoint: string, lastSessionId: number): void {
    const ofOne = this.callBacks.get(subsystem) ?? new Map<string, CallBack>();
    this.callBacks.set(subsystem, ofOne);
    const { promise, resolve } = Promise.withResolvers<void>();
    const callBack = { abort: new AbortController(), done: promise, lastSessionId, wake: new AbortController() };
    ofOne.set(endpoint, callBack);
    void this.call(subsystem, endpoint, callBack).finally(() => {
      ofOne.delete(endpoint);
      if (ofOne.size === 0) this.callBacks.delete(subsystem);
      // It may have come and gone while the last call was on its way.
      if (!callBack.abort.signal.aborted) this.callNew(subsystem);
      resolve();
    });
  }

  private giveUp(subsystem: RegisteredSubsystem): void {
    for (const { abort } of this.callBacks.get(subsystem)?.values() ?? []) abort.abort(new StopReason(this.name));
  }

  /** Until it succeeds, or the instance is no longer waiting for it. */
  private async call(subsystem: RegisteredSubsystem, endpoint: string, callBack: CallBack): Promise<void> {
    const { signal } = callBack.abort;
    const connection = this.connections.open(subsystem.id, () => [endpoint]);
    const backoff = new Backoff(RETRY, this.random);
    try {
      do {
        try {
          const capabilities = await readCapabilities(connection, { signal });
          const { workflows } = await readWorkflows(connection, { signal });
          if (signal.aborted) return;
          this.registry.learn(subsystem, capabilities, workflows);
          this.registry.reached(subsystem, endpoint);
        } catch (error) {
          if (signal.aborted) return;
          this.failed(subsystem, endpoint, error);
          if (isConnecting(subsystem, endpoint)) await this.pause(callBack, backoff);
        }
      } while (isConnecting(subsystem, endpoint));
    } catch (error) {
      if (!signal.aborted) this.log.error({ message: 'a call-back has ended', subsystemId: subsystem.id, error });
    } finally {
      await connection.close();
    }
  }

  private async pause(callBack: CallBack, backoff: Backoff): Promise<void> {
    const { wake, abort } = callBack;
    try {
      await this.clock.sleep(backoff.next(), AbortSignal.any([abort.signal, wake.signal]));
    } catch (error) {
      if (abort.signal.aborted || !wake.signal.aborted) throw error;
      callBack.wake = new AbortController();
      backoff.reset();
    }
  }

  private failed(subsystem: RegisteredSubsystem, endpoint: string, error: unknown): void {
    // A slow or bad answer of one that could be called before says nothing of where it is.
    if (!isConnecting(subsystem, endpoint) && !isAway(error)) return;
    const failure = callBackFailureOf(error);
    const isNews = subsystem.callBackFailures.get(endpoint) !== failure;
    if (isNews) {
      const message = 'a subsystem cannot be called at its endpoint';
      this.log.warn({ message, subsystemId: subsystem.id, endpoint, failure });
    }
    this.registry.notReached(subsystem, endpoint, failure);
    if (failure === 'loop') {
      this.registry.refuse(subsystem, endpoint, 'rejected: flowwatch_endpoint leads back to this gateway');
    }
  }

  private async refreshDue(signal: AbortSignal): Promise<void> {
    const all = this.registry.list(SYSTEM_SCOPE);
    const due = all
      .filter(({ state, learnedAt }) => state === 'connected' && this.clock.monotonic() - learnedAt >= REFRESH_MS)
      .toSorted((one, other) => one.learnedAt - other.learnedAt)
      // Those that came together, after a restart of the gateway, are not asked together for ever.
      .slice(0, Math.ceil((all.length * REFRESH_LOOK_MS) / REFRESH_MS) + REFRESH_POOL);
    await runPool(due, REFRESH_POOL, (subsystem) => this.refresh(subsystem, signal), signal);
  }

  private async refresh(subsystem: RegisteredSubsystem, signal: AbortSignal): Promise<void> {
    try {
      this.registry.learn(subsystem, await readCapabilities(subsystem.connection, { signal }));
      await this.registry.refreshWorkflows(subsystem, signal);
    } catch (error) {
      if (signal.aborted) return;
      // What it told before still holds; its heartbeats say whether it lives.
      subsystem.learnedAt = this.clock.monotonic();
      const failure = codeName(ConnectError.from(error).code);
      this.log.debug({ message: 'a subsystem did not tell what it offers', subsystemId: subsystem.id, failure });
    }
  }
}

function newestSession({ sessions }: InstanceLife): number {
  return Math.max(0, ...sessions.map(({ sessionId }) => sessionId));
}

function isConnecting(subsystem: RegisteredSubsystem, endpoint: string): boolean {
  const instance = instanceAt(subsystem.life, endpoint);
  return instance !== undefined && instanceState(instance) === 'connecting';
}
