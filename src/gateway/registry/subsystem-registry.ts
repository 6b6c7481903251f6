import { equals } from '@bufbuild/protobuf';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { ALL_TENANTS, type Scope, isInScope } from '../../auth/principal.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { abortable } from '../../runtime/abortable.js';
import {
  type Capabilities,
  CapabilitiesSchema,
  type WorkflowDefinition,
  WorkflowDefinitionSchema,
} from '../gen/flowwatch/v1/types_pb.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import { readWorkflows } from './call-back.js';
import { type CallBackFailure, RegisteredSubsystem, type SubsystemDescription } from './registered-subsystem.js';
import { SUBSYSTEM_CONNECTIONS, type SubsystemConnections } from './subsystem-connections.js';
import type { DirectoryChange, Subsystem, SubsystemDirectory } from './subsystem-directory.js';
import { type LifeEvent, type SessionSource, hasSameShape, transition } from './subsystem-life.js';

export interface NewSession extends SubsystemDescription {
  readonly tenantId: string;
  /** The origin of its endpoint, as `parseSubsystemEndpoint` gives it. */
  readonly endpoint: string;
  readonly source: SessionSource;
  /** Ends the stream. Called at most once, and not after `close`. */
  readonly end: (reason: string) => void;
  /** What it says that it offers: holds until a call-back tells. */
  readonly first?: {
    readonly capabilities: Capabilities | undefined;
    readonly workflows: readonly WorkflowDefinition[];
  };
}

export interface RegistrySession {
  readonly subsystem: RegisteredSubsystem;
  pinged(): void;
  /** An answer to a ping. */
  answered(roundTripMs: number): void;
  /** Ends this session and nothing else. Idempotent. */
  close(): void;
}

/** The id belongs to a subsystem of another tenant. */
export class SubsystemIdTaken extends Error {}

export interface RegistryChange extends DirectoryChange {
  readonly subsystem: RegisteredSubsystem;
}

interface OpenSession {
  readonly subsystem: RegisteredSubsystem;
  readonly end: (reason: string) => void;
}

/** Who is registered, in memory. All changes go through the table of `subsystem-life.ts`. */
@Injectable()
export class SubsystemRegistry implements SubsystemDirectory {
  private readonly log = new Logger(SubsystemRegistry.name);
  private readonly subsystems = new Map<string, RegisteredSubsystem>();
  private readonly sessions = new Map<number, OpenSession>();
  private readonly listeners = new Set<(change: RegistryChange) => void>();
  private readonly refreshes = new Map<RegisteredSubsystem, Promise<readonly WorkflowDefinition[]>>();
  private sorted: readonly RegisteredSubsystem[] | undefined;
  private lastSessionId = 0;
  private sequence = 0;

  constructor(
    @Inject(SUBSYSTEM_CONNECTIONS) private readonly connections: SubsystemConnections,
    @Inject(gatewayConfig.token) private readonly config: Pick<GatewayConfig, 'heartbeatMs' | 'graceMs'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

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
    return [...this.subsystems.values()].filter(
      (other) => other.id !== id && other.life.instances.some((instance) => instance.endpoint === endpoint),
    );
  }

  onChange(listener: (change: RegistryChange) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  async refreshWorkflows(asked: Subsystem, signal?: AbortSignal): Promise<readonly WorkflowDefinition[]> {
    const subsystem = this.subsystems.get(asked.id);
    if (subsystem === undefined || subsystem !== asked) return asked.workflows;
    const refresh = this.refreshes.get(subsystem) ?? this.startRefresh(subsystem);
    return signal ? abortable(refresh, signal) : refresh;
  }

  /** @throws SubsystemIdTaken */
  open({ endpoint, source, end, first, tenantId, ...said }: NewSession): RegistrySession {
    const known = this.subsystems.get(said.id);
    if (known && known.tenantId !== tenantId) throw new SubsystemIdTaken(`the id ${said.id} is taken`);
    const subsystem = known ?? new RegisteredSubsystem(said, tenantId, this.clock.now(), this.connections);
    if (!known) {
      this.subsystems.set(subsystem.id, subsystem);
      this.sorted = undefined;
    }
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
    subsystem.callBackFailures.delete(endpoint);
    this.apply(subsystem, { type: 'reached', endpoint });
  }

  /** The call-back to the endpoint has failed: shown until it succeeds. */
  notReached(subsystem: RegisteredSubsystem, endpoint: string, failure: CallBackFailure): void {
    if (subsystem.callBackFailures.get(endpoint) === failure) return;
    subsystem.callBackFailures.set(endpoint, failure);
    this.tell(subsystem, 'changed');
  }

  /** The streams that announced this endpoint are told to leave. */
  refuse(subsystem: RegisteredSubsystem, endpoint: string, reason: string): void {
    const instance = subsystem.life.instances.find((each) => each.endpoint === endpoint);
    for (const { sessionId, source } of instance?.sessions ?? []) {
      if (source === 'rest') continue;
      this.end(sessionId, reason);
      this.apply(subsystem, { type: 'closed', sessionId, at: this.clock.monotonic() });
    }
  }

  /** What a call-back has told. */
  learn(
    subsystem: RegisteredSubsystem,
    capabilities: Capabilities,
    workflows: readonly WorkflowDefinition[] = subsystem.workflows,
  ): void {
    const isNew =
      subsystem.capabilities === undefined ||
      !equals(CapabilitiesSchema, subsystem.capabilities, capabilities) ||
      !sameWorkflows(subsystem.workflows, workflows);
    subsystem.learnedAt = this.clock.monotonic();
    if (!isNew) return;
    subsystem.capabilities = capabilities;
    subsystem.workflows = workflows;
    this.tell(subsystem, 'changed');
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
    this.listeners.clear();
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

  /** Those of instances that the check has removed: a half-open connection is never heard of again. */
  private endForgotten(subsystem: RegisteredSubsystem, before: RegisteredSubsystem['life']): void {
    if (subsystem.life.instances.length === before.instances.length) return;
    const kept = new Set(subsystem.life.instances.map(({ endpoint }) => endpoint));
    for (const { endpoint, sessions } of before.instances) {
      if (kept.has(endpoint)) continue;
      subsystem.callBackFailures.delete(endpoint);
      for (const { sessionId } of sessions) this.end(sessionId, 'it has not answered for too long');
    }
  }

  private end(sessionId: number, reason: string): void {
    const session = this.sessions.get(sessionId);
    this.sessions.delete(sessionId);
    session?.end(reason);
  }

  private tell(subsystem: RegisteredSubsystem, kind: DirectoryChange['kind']): void {
    if (kind !== 'removed' && this.subsystems.get(subsystem.id) !== subsystem) return;
    subsystem.sequence = this.sequence += 1;
    for (const listener of this.listeners) {
      try {
        listener({ kind, subsystem });
      } catch (error) {
        this.log.error({ message: 'a change of a subsystem could not be handled', subsystemId: subsystem.id, error });
      }
    }
  }

  private startRefresh(subsystem: RegisteredSubsystem): Promise<readonly WorkflowDefinition[]> {
    const refresh = readWorkflows(subsystem.connection, {})
      .then((workflows) => {
        if (!sameWorkflows(subsystem.workflows, workflows)) {
          subsystem.workflows = workflows;
          this.tell(subsystem, 'changed');
        }
        return workflows;
      })
      .finally(() => this.refreshes.delete(subsystem));
    this.refreshes.set(subsystem, refresh);
    return refresh;
  }

  private async closeConnection(subsystem: RegisteredSubsystem): Promise<void> {
    try {
      await subsystem.connection.close();
    } catch (error) {
      this.log.warn({ message: 'a connection could not be closed', subsystemId: subsystem.id, error });
    }
  }
}

function sameWorkflows(a: readonly WorkflowDefinition[], b: readonly WorkflowDefinition[]): boolean {
  return a.length === b.length && a.every((each, index) => isSameWorkflow(each, b[index]));
}

function isSameWorkflow(a: WorkflowDefinition, b: WorkflowDefinition | undefined): boolean {
  return b !== undefined && equals(WorkflowDefinitionSchema, a, b);
}
