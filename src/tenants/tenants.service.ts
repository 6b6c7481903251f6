import { Inject, Injectable, Logger } from '@nestjs/common';
import { Types } from 'mongoose';
import { ALL_TENANTS, DEFAULT_TENANT, type Principal, type Scope } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { toStoredLabels } from '../http/labels.js';
import { type Page, toPage } from '../http/page.js';
import { EventBus } from '../realtime/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { Plan } from './plan.js';
import { Plans } from './plans.js';
import type { CreateTenant, ListTenantsQuery, UpdateTenant } from './tenant.dto.js';
import { type TenantDocument, toTenant } from './tenant.document.js';
import type { TenantChanged } from './tenant-events.js';
import type { TenantUsage } from './tenant-usage.js';
import type { Tenant, TenantLimits } from './tenant.js';
import { TenantsRepository } from './tenants.repository.js';

/** Tenants, their plans and limits. Made, changed and removed by admins of all tenants. */
@Injectable()
export class TenantsService {
  private readonly log = new Logger(TenantsService.name);
  private readonly usages: TenantUsage[] = [];

  constructor(
    private readonly tenants: TenantsRepository,
    private readonly plans: Plans,
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'publish'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Lets another room have a say in deletions. */
  registerUsage(usage: TenantUsage): void {
    this.usages.push(usage);
  }

  /** @throws AppError `auth.forbidden`, `request.invalid`, `resource.name_taken`. */
  async create(principal: Principal, { name, plan, labels = {}, limits = {} }: CreateTenant): Promise<Tenant> {
    requireAllTenants(principal);
    this.requirePlan(plan);
    const now = new Date(this.clock.now());
    const document = {
      _id: new Types.ObjectId(),
      name,
      plan: plan ?? this.plans.byName(null).name,
      labels: toStoredLabels(labels),
      limits: { queued: limits.queued ?? null, running: limits.running ?? null },
      clocks: {},
      deletingUntil: null,
      version: 1,
      createdAt: now,
      updatedAt: now,
      createdBy: principal.id,
    };
    if (!(await this.tenants.insert(document))) {
      throw new AppError('resource.name_taken', `there is a tenant called ${name} already`);
    }
    const tenant = toTenant(document);
    this.announce(tenant, 'created');
    return tenant;
  }

  async list(scope: Scope, query: ListTenantsQuery): Promise<Page<Tenant>> {
    return toPage(await this.tenants.list(scope, query), query.limit, toTenant);
  }

  /** @throws AppError `resource.not_found`. */
  async get(scope: Scope, id: string): Promise<Tenant> {
    const document = await this.tenants.find(scope, id);
    if (document === null) throw AppError.notFound('tenant');
    return toTenant(document);
  }

  /** @throws AppError `auth.forbidden`, `request.invalid`, `resource.not_found`, `resource.version_conflict`. */
  async update(principal: Principal, id: string, { version, plan, labels, limits }: UpdateTenant): Promise<Tenant> {
    requireAllTenants(principal);
    this.requirePlan(plan);
    const before = await this.get(principal, id);
    const change = {
      ...(plan === undefined ? {} : { plan }),
      ...(labels === undefined ? {} : { labels: toStoredLabels(labels) }),
      ...(limits === undefined ? {} : { limits: mergedLimits(before.limits, limits) }),
    };
    const document = await this.tenants.update(id, version, change, new Date(this.clock.now()));
    if (document === null) {
      const current = await this.get(principal, id);
      throw new AppError(
        'resource.version_conflict',
        `the tenant has version ${current.version} by now; read it again`,
        {
          details: { current },
        },
      );
    }
    const tenant = toTenant(document);
    this.announce(tenant, 'updated');
    return tenant;
  }

  /** @throws AppError `auth.forbidden`, `resource.not_found`, `tenant.in_use`. */
  async delete(principal: Principal, id: string): Promise<void> {
    requireAllTenants(principal);
    const { name } = await this.get(principal, id);
    if (name === DEFAULT_TENANT) throw new AppError('tenant.in_use', 'the default tenant always exists');
    let deleting: TenantDocument;
    do {
      deleting = await this.beginDeletion(id);
      for (const usage of this.usages) await usage.forget(name);
      // If that took longer than others are held off for, something may have come in.
    } while (await this.tenants.exists(name));
    await this.tenants.endDeletion(deleting, true);
    this.announce(toTenant(deleting), 'deleted');
  }

  /** False also while it is being deleted, by the server's time `at`. */
  exists(tenantId: string, at?: Date): Promise<boolean> {
    return this.tenants.exists(tenantId, at);
  }

  /** The default plan where there is no such tenant. */
  async planOf(tenantId: string): Promise<Plan> {
    return this.plans.byName((await this.tenants.findByName(tenantId))?.plan ?? null);
  }

  /** No limits where there is no such tenant. */
  async limitsOf(tenantId: string): Promise<TenantLimits> {
    return (await this.tenants.findByName(tenantId))?.limits ?? { queued: null, running: null };
  }

  private async beginDeletion(id: string): Promise<TenantDocument> {
    const deleting = await this.tenants.beginDeletion(id);
    if (deleting === null) throw AppError.notFound('tenant');
    const { name } = deleting;
    const inUse = await this.findUses(name);
    if (inUse.length === 0) return deleting;
    await this.tenants.endDeletion(deleting, false);
    throw new AppError('tenant.in_use', `the tenant ${name} still has ${inUse.join(' and ')}`);
  }

  private async findUses(name: string): Promise<string[]> {
    const uses = await Promise.all(this.usages.map((usage) => usage.inUse(name)));
    return uses.filter((use) => use !== null);
  }

  private requirePlan(plan: string | undefined): void {
    if (plan === undefined || this.plans.names.includes(plan)) return;
    const message = `is no plan; there are ${this.plans.names.join(', ')}`;
    throw AppError.invalid([{ path: 'plan', message }]);
  }

  private announce(tenant: Tenant, change: TenantChanged['change']): void {
    this.log.log({ message: `a tenant was ${change}`, tenant: tenant.name, plan: tenant.plan });
    const tombstone = change === 'deleted';
    this.bus.publish('tenant.changed', { tenant, change }, { coalesceKey: tenant.id, tombstone });
  }
}

function requireAllTenants({ id, tenantId }: Principal): void {
  if (tenantId === ALL_TENANTS) return;
  throw new AppError('auth.forbidden', `tenants are managed by admins of all tenants; "${id}" belongs to ${tenantId}`);
}

function mergedLimits(before: TenantLimits, change: NonNullable<UpdateTenant['limits']>): TenantLimits {
  const { queued = before.queued, running = before.running } = change;
  return { queued, running };
}
