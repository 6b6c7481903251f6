import { Inject, Injectable, Logger } from '@nestjs/common';
import { Types } from 'mongoose';
import { ALL_TENANTS, DEFAULT_TENANT, type Principal, SYSTEM_SCOPE, type Scope } from '../../auth/index.js';
import { EgressPolicy, EgressRefused } from '../../egress/index.js';
import { parseHostAddress } from '../../egress/ip-address.js';
import { AppError } from '../../errors/app-error.js';
import { fromStoredLabels, toStoredLabels } from '../../http/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { PeriodicTask } from '../../runtime/periodic-task.js';
import type { Runnable } from '../../runtime/runnable.js';
import { type TenantUsage, TenantsService } from '../../tenants/index.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import type { RegisteredSubsystem } from './registered-subsystem.js';
import { SubsystemIdTaken } from './registry-session.js';
import type { StoredSubsystem } from './stored-subsystem.js';
import { StoredSubsystemsRepository } from './stored-subsystems.repository.js';
import { SubsystemAnnouncer } from './subsystem-announcer.js';
import { SubsystemBeats } from './subsystem-beats.js';
import { SUBSYSTEM_CONNECTIONS, type SubsystemConnections } from './subsystem-connections.js';
import { parseSubsystemEndpoint } from './subsystem-endpoint.js';
import { SubsystemRegistry } from './subsystem-registry.js';
import type { SubsystemView } from './subsystem-view.js';

export interface SubsystemRegistration {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly endpoint: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** How often a replica looks what was registered and removed at others. */
const SYNC_MS = 30_000;

/** What people do with subsystems. Those that they register are stored, and kept alive by calls of ours. */
@Injectable()
export class SubsystemsService implements Runnable, TenantUsage {
  readonly name = 'registered subsystems';
  private readonly log = new Logger(SubsystemsService.name);
  private readonly beats = new Map<string, { readonly stored: StoredSubsystem; readonly beats: SubsystemBeats }>();
  private readonly syncs: PeriodicTask;
  private removals = 0;

  constructor(
    private readonly registry: SubsystemRegistry,
    private readonly repository: StoredSubsystemsRepository,
    private readonly announcer: SubsystemAnnouncer,
    @Inject(SUBSYSTEM_CONNECTIONS) private readonly connections: SubsystemConnections,
    @Inject(EgressPolicy) private readonly egress: Pick<EgressPolicy, 'check'>,
    @Inject(TenantsService) tenants: Pick<TenantsService, 'registerUsage'>,
    @Inject(gatewayConfig.token) private readonly config: Pick<GatewayConfig, 'heartbeatMs'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    tenants.registerUsage(this);
    this.syncs = new PeriodicTask({
      name: this.name,
      periodMs: SYNC_MS,
      runOnce: () => this.sync(),
      onError: (error) => this.log.warn({ message: 'the registered subsystems could not be read', error }),
      clock,
    });
  }

  async start(): Promise<void> {
    await this.sync();
    await this.syncs.start();
  }

  async stop(): Promise<void> {
    await this.syncs.stop();
    const all = [...this.beats.values()];
    this.beats.clear();
    await Promise.all(all.map(({ beats }) => beats.stop()));
  }

  list(scope: Scope): readonly RegisteredSubsystem[] {
    return this.registry.list(scope);
  }

  viewOf(subsystem: RegisteredSubsystem): SubsystemView {
    return this.announcer.viewOf(subsystem);
  }

  /** @throws AppError `resource.not_found`. */
  get(scope: Scope, id: string): SubsystemView {
    return this.viewOf(this.require(scope, id));
  }

  /** @throws AppError `request.invalid` (endpoint), `egress.refused`, `subsystem.already_registered`. */
  async register(principal: Principal, asked: SubsystemRegistration): Promise<SubsystemView> {
    const endpoint = this.allowedEndpoint(asked.endpoint);
    // Its runs would count twice, and those of another tenant would be in reach.
    if (this.registry.othersAt(endpoint, asked.id).length > 0) throw endpointTaken();
    const stored: StoredSubsystem = {
      _id: new Types.ObjectId(),
      tenantId: principal.tenantId === ALL_TENANTS ? DEFAULT_TENANT : principal.tenantId,
      subsystemId: asked.id,
      name: asked.name,
      description: asked.description,
      endpoint,
      metadata: toStoredLabels(asked.metadata),
      createdAt: new Date(this.clock.now()),
      createdBy: principal.id,
    };
    if (this.registry.find(SYSTEM_SCOPE, asked.id) || !(await this.repository.insert(stored))) throw taken(asked.id);
    try {
      // A sync may have come in between.
      const kept = this.beats.has(asked.id) ? this.registry.find(SYSTEM_SCOPE, asked.id) : undefined;
      return this.viewOf(kept ?? this.keep(stored));
    } catch (error) {
      if (!(error instanceof SubsystemIdTaken)) throw error;
      await this.repository.delete(SYSTEM_SCOPE, asked.id);
      throw taken(asked.id);
    }
  }

  /** Those with a stream are told to leave, and may come back. @throws AppError `resource.not_found`. */
  async deregister(scope: Scope, id: string): Promise<void> {
    const subsystem = this.registry.find(scope, id);
    const wasStored = await this.repository.delete(scope, id);
    if (!subsystem && !wasStored) throw AppError.notFound('subsystem');
    this.removals += 1;
    await this.drop(id);
    if (subsystem) this.registry.remove(subsystem, 'deregistered');
  }

  /** @throws AppError `resource.not_found`. */
  markStale(scope: Scope, id: string): SubsystemView {
    const subsystem = this.require(scope, id);
    this.registry.markStale(subsystem);
    return this.viewOf(subsystem);
  }

  inUse(): Promise<null> {
    return Promise.resolve(null);
  }

  async forget(tenantId: string): Promise<void> {
    await this.repository.deleteOfTenant(tenantId);
    this.removals += 1;
    for (const subsystem of this.registry.list({ tenantId })) {
      await this.drop(subsystem.id);
      this.registry.remove(subsystem, 'its tenant was deleted');
    }
  }

  /** Brings what runs here to what is stored. */
  private async sync(): Promise<void> {
    const before = new Set(this.beats.keys());
    const { removals } = this;
    const stored = await this.repository.list(SYSTEM_SCOPE);
    // What was read may hold what has been removed since.
    if (removals !== this.removals) return this.sync();
    const wanted = new Map(stored.map((each) => [each.subsystemId, each]));
    for (const id of before) {
      const kept = this.beats.get(id);
      if (!kept || wanted.get(id)?._id.equals(kept.stored._id)) continue;
      await this.drop(id);
      this.removeIfAlone(id);
    }
    for (const each of stored) if (!this.beats.has(each.subsystemId)) this.keepStored(each);
  }

  private keepStored(stored: StoredSubsystem): void {
    try {
      this.keep(stored);
    } catch (error) {
      if (!(error instanceof SubsystemIdTaken)) throw error;
      this.log.warn({ message: 'the id of a registered subsystem is taken', subsystemId: stored.subsystemId });
    }
  }

  private keep(stored: StoredSubsystem): RegisteredSubsystem {
    const { subsystemId: id, tenantId, name, description, endpoint } = stored;
    const metadata = fromStoredLabels(stored.metadata);
    const session = this.registry.open({
      id,
      tenantId,
      name,
      description,
      metadata,
      endpoint,
      source: 'rest',
      end: () => undefined,
    });
    const beats = new SubsystemBeats({
      endpoint,
      session,
      connections: this.connections,
      heartbeatMs: this.config.heartbeatMs,
      clock: this.clock,
      onError: (error) => this.log.error({ message: 'health calls have ended', subsystemId: id, error }),
    });
    this.beats.set(id, { stored, beats });
    return session.subsystem;
  }

  private async drop(id: string): Promise<void> {
    const kept = this.beats.get(id);
    this.beats.delete(id);
    await kept?.beats.stop();
  }

  /** Removed at another replica: at once, unless it has streams here. */
  private removeIfAlone(id: string): void {
    const subsystem = this.registry.find(SYSTEM_SCOPE, id);
    const isAlone = subsystem?.life.instances.every(({ sessions }) => sessions.length === 0);
    if (subsystem && isAlone) this.registry.remove(subsystem, 'deregistered');
  }

  private allowedEndpoint(text: string): string {
    try {
      const { origin, host } = parseSubsystemEndpoint(text);
      const address = parseHostAddress(host);
      if (address) this.egress.check(address);
      return origin;
    } catch (error) {
      if (error instanceof EgressRefused) {
        const { code, detail, details } = error;
        throw new AppError(code, detail, { details, errors: [{ path: 'endpoint', message: detail }] });
      }
      if (!(error instanceof RangeError)) throw error;
      throw AppError.invalid([{ path: 'endpoint', message: error.message }]);
    }
  }

  private require(scope: Scope, id: string): RegisteredSubsystem {
    const subsystem = this.registry.find(scope, id);
    if (!subsystem) throw AppError.notFound('subsystem');
    return subsystem;
  }
}

function taken(id: string): AppError {
  const detail = `a subsystem is registered under the id ${id}; remove it first, or take another id`;
  return new AppError('subsystem.already_registered', detail);
}

function endpointTaken(): AppError {
  const detail = 'another subsystem is registered at this endpoint; one subsystem has one id';
  return new AppError('subsystem.already_registered', detail);
}
