import { Inject, Injectable } from '@nestjs/common';
import { SERVER_TIME, type ServerTime } from '../database/index.js';
import { type StoredClock, type TenantDocument, toTenant } from './tenant.document.js';
import type { Pool, Tenant } from './tenant.js';
import { Plans } from './plans.js';
import { type TenantsConfig, tenantsConfig } from './tenants.config.js';
import { TenantsRepository, isDeleting } from './tenants.repository.js';
import type { Plan } from './plan.js';

/** What a tenant gets for jobs that it enqueues. */
export interface Ticket {
  readonly tenant: Tenant;
  readonly plan: Plan;
  /** The server's time, milliseconds since the epoch. */
  readonly at: number;
  /** Where the k-th of the jobs starts, from 0; milliseconds since the epoch. */
  startOf(k: number): number;
}

/** A clock that is ahead of the server's time. */
export interface TenantLead {
  readonly tenantId: string;
  readonly pool: Pool;
  /** Milliseconds. */
  readonly leadMs: number;
  readonly next: number;
}

/**
 * Fairness between tenants: start-time fair queueing. Each tenant has a clock for each pool, which its jobs move on by
 * cost ÷ weight. A tenant with an empty queue starts at now; one with a long queue is ahead by what it has enqueued.
 */
@Injectable()
export class VirtualClocks {
  constructor(
    private readonly tenants: TenantsRepository,
    private readonly plans: Plans,
    @Inject(tenantsConfig.token) private readonly config: TenantsConfig,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
  ) {}

  /** Moves the clock on by `count` jobs, in one command. Null if there is no such tenant, or it is being deleted. */
  async tick(tenantId: string, pool: Pool, count: number): Promise<Ticket | null> {
    const { jobCostMs, maxLeadMs } = this.config;
    const clock = `clocks.${pool}`;
    const at = { $toLong: this.time.now };
    const limit = { $add: [`$${clock}.at`, maxLeadMs] };
    const weight = this.config.plans.reduce<unknown>(
      (otherwise, plan) => ({ $cond: [{ $eq: ['$plan', plan.name] }, plan.weight, otherwise] }),
      this.plans.byName(null).weight,
    );
    const lead = { $divide: [count * jobCostMs, weight] };
    const stages = [
      { $set: { [`${clock}.at`]: at } },
      // The limit also holds when the server's time has jumped back.
      { $set: { [`${clock}.start`]: { $min: [{ $max: [at, { $ifNull: [`$${clock}.next`, 0] }] }, limit] } } },
      { $set: { [`${clock}.next`]: { $min: [{ $add: [`$${clock}.start`, lead] }, limit] } } },
    ];
    const document = await this.tenants.collection.findOneAndUpdate({ name: tenantId }, stages, {
      returnDocument: 'after',
    });
    const ticked = document?.clocks[pool];
    if (document === null || ticked === undefined || isDeleting(document, new Date(ticked.at))) return null;
    return this.ticket(document, ticked);
  }

  /** The clocks of these tenants that are ahead of the time given. */
  leads(tenants: readonly TenantDocument[], now: Date): TenantLead[] {
    return tenants.flatMap(({ name, clocks }) =>
      (Object.entries(clocks) as Array<[Pool, StoredClock]>)
        .filter(([, { next }]) => next > now.getTime())
        .map(([pool, { next }]) => ({ tenantId: name, pool, next, leadMs: next - now.getTime() })),
    );
  }

  /** Lets go of a lead that no waiting job has any more. False if the clock has moved meanwhile. */
  async release({ tenantId, pool, next }: TenantLead): Promise<boolean> {
    const clock = `clocks.${pool}.next`;
    const change = [{ $set: { [clock]: { $toLong: this.time.now } } }];
    const { matchedCount } = await this.tenants.collection.updateOne({ name: tenantId, [clock]: next }, change);
    return matchedCount === 1;
  }

  private ticket(document: TenantDocument, { at, start }: StoredClock): Ticket {
    const plan = this.plans.byName(document.plan);
    const { jobCostMs, maxLeadMs } = this.config;
    const startOf = (k: number): number => Math.min(start + (k * jobCostMs) / plan.weight, at + maxLeadMs);
    return { tenant: toTenant(document), plan, at, startOf };
  }
}
