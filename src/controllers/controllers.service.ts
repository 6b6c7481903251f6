import { Inject, Injectable, Logger } from '@nestjs/common';
import { ALL_TENANTS, type Principal, hasRole } from '../auth/index.js';
import { AppError } from '../errors/app-error.js';
import { LeaderElection, type StoredLease } from '../leader-election/index.js';
import { Readiness } from '../lifecycle/index.js';
import { EventBus } from '../realtime/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { ControllerManager, dutyOf } from './controller-manager.js';
import type { ControllerRecord } from './controller-record.js';
import { ControllerRecordsRepository } from './controller-records.repository.js';
import { ControllerWatchdog } from './controller-watchdog.js';
import type { ControllerAnswer } from './controller.dto.js';
import { type ControllersConfig, controllersConfig } from './controllers.config.js';
import { timeoutOf } from './reconcile-round.js';
import type { Reconciler } from './reconciler.js';

const LOOK_MS = 100;

export interface RequestedRound {
  readonly controller: ControllerAnswer;
  /** False if it was still to come, or in progress, when the time to wait was over. */
  readonly isThrough: boolean;
}

/**
 * What people ask of controllers. Any replica answers: requests and pauses go through the stored record, which the
 * leader looks at, so that nobody has to find the replica that leads.
 */
@Injectable()
export class ControllersService {
  private readonly log = new Logger(ControllersService.name);

  constructor(
    private readonly manager: ControllerManager,
    private readonly records: ControllerRecordsRepository,
    private readonly election: LeaderElection,
    private readonly watchdog: ControllerWatchdog,
    private readonly bus: EventBus,
    private readonly readiness: Readiness,
    @Inject(controllersConfig.token) private readonly config: ControllersConfig,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async list(principal: Principal): Promise<ControllerAnswer[]> {
    const [leases, stored] = await Promise.all([this.leases(), this.records.list()]);
    const byName = new Map(stored.map((record) => [record.name, record]));
    return Promise.all(
      this.manager.names.map(async (name) =>
        this.show(principal, byName.get(name) ?? (await this.recordOf(name)), leases.get(name)),
      ),
    );
  }

  /** @throws AppError `resource.not_found` */
  async get(principal: Principal, name: string): Promise<ControllerAnswer> {
    this.reconcilerOf(name);
    const record = await this.recordOf(name);
    return this.show(principal, record, (await this.leases()).get(name));
  }

  /**
   * Asks for a round and waits for the end of it, wherever it runs. Requests that come before it begins share it.
   *
   * @throws AppError `auth.forbidden`, `resource.not_found`, `controller.paused`
   */
  async reconcile(principal: Principal, name: string): Promise<RequestedRound> {
    this.reconcilerOf(name);
    requireAllTenants(principal);
    const { requested } = await this.request(name);
    this.log.log({ message: 'a round was asked for', controller: name, by: principal.id });
    this.manager.wake(name);
    const deadline = this.clock.monotonic() + this.config.waitMs;
    for (;;) {
      const { answered } = await this.recordOf(name);
      const isThrough = answered >= requested;
      if (isThrough || this.clock.monotonic() >= deadline || this.readiness.state === 'draining') {
        return { isThrough, controller: await this.get(principal, name) };
      }
      await this.clock.sleep(LOOK_MS);
    }
  }

  /** No round begins any more, on any replica, until it is resumed; one in progress ends. Idempotent, like `resume`. */
  async pause(principal: Principal, name: string): Promise<ControllerAnswer> {
    return this.setPaused(principal, name, true);
  }

  async resume(principal: Principal, name: string): Promise<ControllerAnswer> {
    return this.setPaused(principal, name, false);
  }

  private async setPaused(principal: Principal, name: string, paused: boolean): Promise<ControllerAnswer> {
    this.reconcilerOf(name);
    requireAllTenants(principal);
    await this.records.ensure(name, new Date(this.clock.now()));
    if (await this.records.setPaused(name, paused, principal.id)) {
      const change = paused ? 'paused' : 'resumed';
      this.log.log({ message: 'a controller was paused or resumed', controller: name, change, by: principal.id });
      this.bus.publish('controller.changed', { name, change, by: principal.id });
    }
    this.manager.wake(name);
    return this.get(principal, name);
  }

  private async request(name: string): Promise<ControllerRecord> {
    await this.records.ensure(name, new Date(this.clock.now()));
    const record = await this.records.request(name);
    if (record) return record;
    throw new AppError('controller.paused', `the controller ${name} is paused; an admin can resume it`);
  }

  private async recordOf(name: string): Promise<ControllerRecord> {
    const found = await this.records.find(name);
    if (found) return found;
    // Before a leader has made it.
    await this.records.ensure(name, new Date(this.clock.now()));
    const made = await this.records.find(name);
    if (!made) throw new Error(`the record of the controller ${name} is gone`);
    return made;
  }

  /** By controller; those that ran out are nobody's. */
  private async leases(): Promise<ReadonlyMap<string, StoredLease>> {
    const now = this.clock.now();
    const leases = (await this.election.leases()).filter(({ expiresAt }) => expiresAt.getTime() > now);
    const byDuty = new Map(leases.map((lease) => [lease.duty, lease]));
    const found = this.manager.names.map((name) => [name, byDuty.get(dutyOf(name))] as const);
    return new Map(found.filter((entry): entry is readonly [string, StoredLease] => entry[1] !== undefined));
  }

  private reconcilerOf(name: string): Reconciler {
    const reconciler = this.manager.find(name);
    if (!reconciler) throw AppError.notFound('controller');
    return reconciler;
  }

  private show(principal: Principal, record: ControllerRecord, lease: StoredLease | undefined): ControllerAnswer {
    const reconciler = this.reconcilerOf(record.name);
    const seesAll = principal.tenantId === ALL_TENANTS;
    return {
      name: record.name,
      state: stateOf(record),
      periodMs: reconciler.periodMs,
      timeoutMs: timeoutOf(reconciler),
      overdue: this.watchdog.isOverdue(record),
      leader: lease
        ? {
            holder: lease.holder,
            isThisReplica: lease.holder === this.election.holder,
            epoch: lease.epoch,
            since: lease.heldSince.toISOString(),
          }
        : null,
      nextRunAt: record.paused ? null : shown(record.nextRunAt),
      startedAt: shown(record.startedAt),
      lastRunAt: shown(record.lastRunAt),
      lastSuccessAt: shown(record.lastSuccessAt),
      lastOutcome: record.lastRunAt === null ? null : record.consecutiveErrors > 0 ? 'failure' : 'success',
      durationMs: record.durationMs,
      processed: record.processed,
      changed: record.changed,
      detail: seesAll && record.detail ? { ...record.detail } : null,
      consecutiveErrors: record.consecutiveErrors,
      lastErrorAt: shown(record.lastErrorAt),
      lastError: seesAll && hasRole(principal, 'admin') ? record.lastError : null,
      pausedBy: record.pausedBy,
      version: record.version,
      updatedAt: record.updatedAt.toISOString(),
    };
  }
}

function stateOf({ startedAt, paused, consecutiveErrors }: ControllerRecord): ControllerAnswer['state'] {
  if (startedAt !== null) return 'running';
  if (paused) return 'paused';
  return consecutiveErrors > 0 ? 'failing' : 'waiting';
}

function shown(time: Date | null): string | null {
  return time?.toISOString() ?? null;
}

/** Controllers work for every tenant, so that nobody of one tenant may hold them up. */
function requireAllTenants({ tenantId }: Principal): void {
  if (tenantId === ALL_TENANTS) return;
  throw new AppError('auth.forbidden', 'controllers work for all tenants: only a key of all tenants may do this');
}
