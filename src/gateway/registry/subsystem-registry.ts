import { Inject, Injectable, Logger } from '@nestjs/common';
import { ALL_TENANTS, type Scope, isInScope } from '../../auth/principal.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { abortable } from '../../runtime/abortable.js';
import type { Capabilities, WorkflowDefinition } from '../gen/flowwatch/v1/types_pb.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import type { CallBackFailure } from './call-back-failure.js';
import { RegisteredSubsystem, type SubsystemDescription } from './registered-subsystem.js';
import { type NewSession, type RegistrySession, SubsystemIdTaken, requireRoom } from './registry-session.js';
import { type RegistryChange, SubsystemChanges } from './subsystem-changes.js';
import { SUBSYSTEM_CONNECTIONS, type SubsystemConnections } from './subsystem-connections.js';
import type { DirectoryChange, Subsystem, SubsystemDirectory } from './subsystem-directory.js';
import { type LifeEvent, type SubsystemLife, hasSameShape, instanceAt, transition } from './subsystem-life.js';
import { SubsystemOffers } from './subsystem-offers.js';

interface OpenSession {
  readonly subsystem: RegisteredSubsystem;
  readonly end: (reason: string) => void;
}

type UnreachableListener = (subsystem: RegisteredSubsystem, endpoint: string) => void;

/** Who is registered, in memory. All changes go through the table of `subsystem-life.ts`. */
@Injectable()
export class SubsystemRegistry implements SubsystemDirectory {
  private readonly log = new Logger(SubsystemRegistry.name);
  private readonly subsystems = new Map<string, RegisteredSubsystem>();
  private readonly sessions = new Map<number, OpenSession>();
  private readonly changes = new SubsystemChanges();
  private readonly offers: SubsystemOffers;
  private onUnreachableInstance: UnreachableListener | undefined;
  private sorted: readonly RegisteredSubsystem[] | undefined;
  private lastSessionId = 0;

  constructor(
    @Inject(SUBSYSTEM_CONNECTIONS) private readonly connections: SubsystemConnections,
    @Inject(gatewayConfig.token) private readonly config: Pick<GatewayConfig, 'heartbeatMs' | 'graceMs'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.offers = new SubsystemOffers(clock, (subsystem) => this.tell(subsystem, 'changed'));
  }

  list(scope: Scope): readonly RegisteredSubsystem[] {
    this.sorted ??= [...this.subsystems.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
    if (scope.tenantId === ALL_TENANTS) return this.sorted;
    return this.sorted.filter(({ tenantId }) => isInScope(scope, tenantId));
  }

  find(scope: Scope, id: string): RegisteredSubsystem | undefined {
    const subsystem = this.subsystems.get(id);
    return subsystem && isInScope(scope, subsystem.tenantId) ? subsystem : undefined;
  }

  /** Other subsystems with an instance at this endpoint. */
  othersAt(endpoint: string, id: string): readonly RegisteredSubsystem[] {
    return [...this.subsystems.values()].filter((other) => other.id !== id && instanceAt(other.life, endpoint));
  }

  onChange(listener: (change: RegistryChange) => void): () => void {
    return this.changes.listen(listener);
  }

  /** Told when a call found nobody at an endpoint; by one listener at a time, which must not throw. */
  onUnreachable(listener: UnreachableListener | undefined): void {
    this.onUnreachableInstance = listener;
  }

  async refreshWorkflows(asked: Subsystem, signal?: AbortSignal): Promise<readonly WorkflowDefinition[]> {
    const subsystem = this.subsystems.get(asked.id);
    if (subsystem === undefined || subsystem !== asked) return asked.workflows;
    const refresh = this.offers.refresh(subsystem);
    return signal ? abortable(refresh, signal) : refresh;
  }

  /** @throws SubsystemIdTaken, RegistryFull */
  open({ endpoint, source, end, first, tenantId, ...said }: NewSession): RegistrySession {
    const known = this.subsystems.get(said.id);
    if (known && known.tenantId !== tenantId) throw new SubsystemIdTaken(`the id ${said.id} is taken`);
    if (source === 'stream') requireRoom(this.subsystems.size, known?.life, endpoint);
    const subsystem = known ?? this.add(said, tenantId);
    subsystem.describe(said);
    subsystem.capabilities ??= first?.capabilities;
    if (first && subsystem.workflows.length === 0) subsystem.workflows = first.workflows;
    const sessionId = (this.lastSessionId += 1);
    this.sessions.set(sessionId, { subsystem, end });
    const at = (): number => this.clock.monotonic();
    this.apply(subsystem, { type: 'opened', sessionId, source, endpoint, at: at() }, true);
    return {
      subsystem,
      pinged: () => this.apply(subsystem, { type: 'pinged', sessionId, at: at() }),
      answered: (roundTripMs) => this.apply(subsystem, { type: 'answered', sessionId, at: at(), roundTripMs }),
      close: () => {
        // No `end` any more: its stream is over.
        if (this.sessions.delete(sessionId)) this.apply(subsystem, { type: 'closed', sessionId, at: at() });
      },
    };
  }

  /** The call-back to the endpoint has succeeded. */
  reached(subsystem: RegisteredSubsystem, endpoint: string): void {
    const hadFailed = subsystem.callBackFailures.delete(endpoint);
    this.apply(subsystem, { type: 'reached', endpoint, at: this.clock.monotonic() }, hadFailed);
  }

  /** The call-back to the endpoint has failed: nothing is routed there, and why is shown, until it succeeds. */
  notReached(subsystem: RegisteredSubsystem, endpoint: string, failure: CallBackFailure): void {
    if (!instanceAt(subsystem.life, endpoint)) return;
    const isNews = subsystem.callBackFailures.get(endpoint) !== failure;
    subsystem.callBackFailures.set(endpoint, failure);
    this.apply(subsystem, { type: 'not-reached', endpoint }, isNews);
  }

  /** The streams that announced this endpoint are told to leave. */
  refuse(subsystem: RegisteredSubsystem, endpoint: string, reason: string): void {
    for (const { sessionId, source } of instanceAt(subsystem.life, endpoint)?.sessions ?? []) {
      if (source === 'rest') continue;
      this.end(sessionId, reason);
      this.apply(subsystem, { type: 'closed', sessionId, at: this.clock.monotonic() });
    }
  }

  /** What a call-back has told. */
  learn(subsystem: RegisteredSubsystem, capabilities: Capabilities, workflows?: readonly WorkflowDefinition[]): void {
    this.offers.learn(subsystem, capabilities, workflows);
  }

  /** Excludes it until its next sign of life. */
  markStale(subsystem: RegisteredSubsystem): void {
    this.apply(subsystem, { type: 'marked-stale', at: this.clock.monotonic() });
  }

  /** Looks who has missed two pings, and who has been stale for longer than the grace period. */
  check(): void {
    const { heartbeatMs, graceMs } = this.config;
    const at = this.clock.monotonic();
    for (const subsystem of this.subsystems.values()) {
      this.apply(subsystem, { type: 'checked', at, heartbeatMs, graceMs });
    }
  }

  /** Its sessions are told to leave. */
  remove(subsystem: RegisteredSubsystem, reason: string): void {
    if (this.subsystems.get(subsystem.id) !== subsystem) return;
    this.subsystems.delete(subsystem.id);
    this.sorted = undefined;
    for (const [sessionId, session] of this.sessions) if (session.subsystem === subsystem) this.end(sessionId, reason);
    subsystem.life = { instances: [] };
    this.tell(subsystem, 'removed');
    void this.closeConnection(subsystem);
  }

  /**
   * At the end of the service all are told to leave, and nobody is told of changes any more. Who was there stays until
   * `close`, for calls that are still being answered.
   */
  dismiss(reason: string): void {
    this.changes.end();
    this.onUnreachableInstance = undefined;
    for (const sessionId of this.sessions.keys()) this.end(sessionId, reason);
  }

  /** When nobody calls any more. */
  async close(): Promise<void> {
    const all = [...this.subsystems.values()];
    this.subsystems.clear();
    this.sorted = undefined;
    await Promise.all(all.map((subsystem) => this.closeConnection(subsystem)));
  }

  get sessionCount(): number {
    return this.sessions.size;
  }

  private add(said: SubsystemDescription, tenantId: string): RegisteredSubsystem {
    const subsystem = new RegisteredSubsystem(said, tenantId, this.clock.now(), this.connections, (...told) =>
      this.onUnreachableInstance?.(...told),
    );
    this.subsystems.set(subsystem.id, subsystem);
    this.sorted = undefined;
    return subsystem;
  }

  private apply(subsystem: RegisteredSubsystem, event: LifeEvent, isNew = false): void {
    if (this.subsystems.get(subsystem.id) !== subsystem) return;
    const before = { life: subsystem.life, state: subsystem.state };
    subsystem.life = transition(before.life, event);
    if (subsystem.life === before.life && !isNew) return;
    if (event.type === 'checked') this.endForgotten(subsystem, before.life);
    if (subsystem.life.instances.length === 0) {
      this.remove(subsystem, 'it has not answered for too long');
      return;
    }
    const { state } = subsystem;
    // Back by an answer on a stream that was there: what it offers may have changed meanwhile.
    if (before.state === 'stale' && event.type === 'answered') subsystem.learnedAt = Number.NEGATIVE_INFINITY;
    if (state !== before.state && state !== 'connecting') this.tell(subsystem, state);
    else if (isNew || !hasSameShape(subsystem.life, before.life)) this.tell(subsystem, 'changed');
  }

  /** Those that the check has removed: a half-open connection is never heard of again. */
  private endForgotten(subsystem: RegisteredSubsystem, before: SubsystemLife): void {
    for (const { endpoint, sessions } of before.instances) {
      const kept = instanceAt(subsystem.life, endpoint);
      if (!kept) subsystem.callBackFailures.delete(endpoint);
      const keptIds = new Set(kept?.sessions.map(({ sessionId }) => sessionId));
      for (const { sessionId } of sessions) {
        if (!keptIds.has(sessionId)) this.end(sessionId, 'it has not answered for too long');
      }
    }
  }

  private end(sessionId: number, reason: string): void {
    const session = this.sessions.get(sessionId);
    this.sessions.delete(sessionId);
    session?.end(reason);
  }

  private tell(subsystem: RegisteredSubsystem, kind: DirectoryChange['kind']): void {
    if (kind !== 'removed' && this.subsystems.get(subsystem.id) !== subsystem) return;
    this.changes.tell({ kind, subsystem });
  }

  private async closeConnection(subsystem: RegisteredSubsystem): Promise<void> {
    try {
      await subsystem.connection.close();
    } catch (error) {
      this.log.warn({ message: 'a connection could not be closed', subsystemId: subsystem.id, error });
    }
  }
}
