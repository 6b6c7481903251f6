import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Types } from 'mongoose';
import { SERVER_TIME, type ServerTime } from '../../database/index.js';
import { type SweepGuard, mayGoOn } from '../../leader-election/index.js';
import {
  Plans,
  type TenantDocument,
  TenantsRepository,
  type TenantsConfig,
  VirtualClocks,
  tenantsConfig,
} from '../../tenants/index.js';
import { JobsMetrics } from '../jobs.metrics.js';
import { JobReleasesRepository } from './job-releases.repository.js';
import { QueueOrderRepository, type RankedJob } from './queue-order.repository.js';
import { rankOf } from '../rank.js';
import { SLICE } from './sweep.js';

export interface QueueOrderResult {
  /** Jobs whose rank was looked at. */
  readonly processed: number;
  readonly changed: number;
  readonly oldestWaitMs: number;
  /** How far the clock of a tenant is ahead at most. */
  readonly longestLeadMs: number;
  readonly leadsReleased: number;
}

/** Looked at by one round besides the jobs of changed plans: the next round goes on where it ended. */
const VERIFIED_JOBS = 4 * SLICE;
const VERIFIED_TENANTS = 200;
const TENANTS_AT_ONCE = 500;

interface Position {
  readonly name: string;
  readonly after: Types.ObjectId | null;
}

const START: Position = { name: '', after: null };

/**
 * Verifies the order of the queue. Ranks are written once, at enqueue, and are right for ever unless a plan or the
 * bonus changes: then the jobs of that tenant that wait are ranked again, those only whose rank differs.
 */
@Injectable()
export class QueueOrder {
  private readonly log = new Logger(QueueOrder.name);
  /** Where the next verification goes on. */
  private verified: Position = START;

  constructor(
    private readonly repository: QueueOrderRepository,
    private readonly releases: JobReleasesRepository,
    private readonly tenants: TenantsRepository,
    private readonly plans: Plans,
    private readonly clocks: VirtualClocks,
    private readonly metrics: JobsMetrics,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
    @Inject(tenantsConfig.token) private readonly config: TenantsConfig,
  ) {}

  /** @throws LeaseLost, the signal's reason. */
  async rerank(signal: AbortSignal, lease: SweepGuard['lease']): Promise<QueueOrderResult> {
    const guard = { signal, lease };
    mayGoOn(guard);
    const now = await this.time.read();
    let [processed, changed, longestLeadMs, leadsReleased] = [0, 0, 0, 0];
    for (let name = ''; ;) {
      mayGoOn(guard);
      const tenants = await this.tenants.namesAfter(name, TENANTS_AT_ONCE);
      for (const tenant of tenants) {
        const { looked, repaired } = await this.rerankTenant(guard, tenant);
        processed += looked;
        changed += repaired;
      }
      const leads = await this.releaseLeads(guard, tenants, now);
      longestLeadMs = Math.max(longestLeadMs, leads.longestMs);
      leadsReleased += leads.released;
      if (tenants.length < TENANTS_AT_ONCE) break;
      name = tenants.at(-1)?.name ?? '';
    }
    const verified = await this.verifySome(guard);
    const oldest = await this.releases.oldestWait();
    const oldestWaitMs = oldest === null ? 0 : Math.max(0, now.getTime() - oldest.getTime());
    mayGoOn(guard);
    this.metrics.queue({ oldestWaitMs, longestLeadMs });
    processed += verified.looked;
    changed += verified.repaired;
    return { processed, changed, oldestWaitMs, longestLeadMs, leadsReleased };
  }

  /** The figures of the last look: another process has later ones. */
  forget(): void {
    this.metrics.queue({ oldestWaitMs: 0, longestLeadMs: 0 });
  }

  /** Only a tenant whose plan, or the bonus, is not what its jobs are known to be ranked by. */
  private async rerankTenant(guard: SweepGuard, tenant: TenantDocument): Promise<Looked> {
    const plan = this.plans.byName(tenant.plan);
    const basis = `${plan.base}/${this.config.priorityBonus}`;
    if (tenant.rankedAs === basis) return { looked: 0, repaired: 0 };
    const total = { looked: 0, repaired: 0 };
    for (let after: Types.ObjectId | null = null; ;) {
      mayGoOn(guard);
      const jobs = await this.repository.waitingOf(tenant.name, after, SLICE);
      total.looked += jobs.length;
      total.repaired += await this.repair(guard, jobs, plan.base);
      after = jobs.at(-1)?._id ?? null;
      if (jobs.length < SLICE) break;
    }
    // Jobs that came in meanwhile may still have the old plan: known only once a whole look has found nothing wrong.
    if (total.repaired === 0) await this.tenants.markRanked(tenant, basis);
    return total;
  }

  /** Goes through the jobs of one tenant after the other, some at each round. */
  private async verifySome(guard: SweepGuard): Promise<Looked> {
    const total = { looked: 0, repaired: 0 };
    for (let steps = 0; steps < VERIFIED_TENANTS && total.looked < VERIFIED_JOBS; steps += 1) {
      mayGoOn(guard);
      const { name, after } = this.verified;
      const [tenant] = await this.tenants.namesFrom(name, 1);
      if (!tenant) {
        this.verified = START;
        break;
      }
      const isSame = tenant.name === name;
      const jobs = await this.repository.waitingOf(tenant.name, isSame ? after : null, SLICE);
      const { base } = this.plans.byName(tenant.plan);
      total.looked += jobs.length;
      total.repaired += await this.repair(guard, jobs, base);
      const last = jobs.length < SLICE ? undefined : jobs.at(-1)?._id;
      // Nothing stands between a name and the name with a blank.
      this.verified = last ? { name: tenant.name, after: last } : { name: `${tenant.name} `, after: null };
    }
    return total;
  }

  private async repair(guard: SweepGuard, jobs: readonly RankedJob[], base: number): Promise<number> {
    const wrong = jobs.flatMap((job) => {
      const rank = rankOf(job.virtualStart, base + job.priority, this.config.priorityBonus);
      return rank === job.rank ? [] : [{ job, rank }];
    });
    if (wrong.length === 0) return 0;
    mayGoOn(guard);
    const repaired = await this.repository.rank(wrong);
    this.log.log({
      message: 'jobs were ranked again after a change of plan or bonus',
      count: repaired,
      jobs: wrong.map(({ job }) => job._id.toHexString()),
    });
    return repaired;
  }

  private async releaseLeads(
    guard: SweepGuard,
    tenants: readonly TenantDocument[],
    now: Date,
  ): Promise<{ longestMs: number; released: number }> {
    let [longestMs, released] = [0, 0];
    for (const lead of this.clocks.leads(tenants, now)) {
      mayGoOn(guard);
      if (await this.repository.hasWaiting(lead.tenantId, lead.pool)) longestMs = Math.max(longestMs, lead.leadMs);
      else if (await this.clocks.release(lead)) released += 1;
    }
    return { longestMs, released };
  }
}

interface Looked {
  looked: number;
  repaired: number;
}
