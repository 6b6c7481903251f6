import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../../auth/principal.js';
import { AppError } from '../../errors/app-error.js';
import { objectId } from '../../http/object-id.js';
import { EventBus, SseBroadcaster, type StreamItem, type StreamTopic } from '../../realtime/index.js';
import { type Tenant, TenantsService } from '../../tenants/index.js';
import { toJob } from '../job.document.js';
import { UNFINISHED_STATES } from '../job-state.js';
import type { Job } from '../job.js';
import { JobsRepository } from '../jobs.repository.js';
import { RemovedJobStreams } from './removed-job-streams.js';

/** A sweep changes thousands of jobs in one turn; the streams of none of them may miss it. */
const MAX_WAITING = 100_000;

/** Unfinished jobs in the snapshot of a tenant, the newest; others come with their next change. */
const SNAPSHOT_JOBS = 1_000;

/** The stream keys `job:<id>` and `tenant:<id>`: a snapshot, then each change of the job, or of the tenant's jobs. */
@Injectable()
export class JobStreamTopics {
  /** Ids by name, of tenants that somebody has asked for: jobs carry the name. */
  private readonly tenantIds = new Map<string, string>();

  constructor(
    private readonly jobs: JobsRepository,
    @Inject(TenantsService) private readonly tenants: Pick<TenantsService, 'get'>,
    @Inject(SseBroadcaster) private readonly broadcaster: Pick<SseBroadcaster, 'registerTopic' | 'publish' | 'retire'>,
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'subscribe'>,
    @Inject(RemovedJobStreams) private readonly removed: Pick<RemovedJobStreams, 'warmed' | 'cooled' | 'seen'>,
  ) {}

  /** Before the service starts. */
  register(): void {
    this.broadcaster.registerTopic(this.jobTopic());
    this.broadcaster.registerTopic(this.tenantTopic());
    this.bus.subscribe('job streams', ['job.changed'], ({ payload: { job } }) => this.publish(job), {
      bufferSize: MAX_WAITING,
    });
    this.bus.subscribe('tenant streams', ['tenant.changed'], ({ payload: { tenant, change } }) => {
      if (change !== 'deleted') return;
      this.tenantIds.delete(tenant.name);
      this.broadcaster.retire(`tenant:${tenant.id}`);
    });
  }

  private publish(job: Job): void {
    const item = jobItem(job);
    this.broadcaster.publish(`job:${job.id}`, job.tenantId, item);
    const tenantId = this.tenantIds.get(job.tenantId);
    if (tenantId !== undefined) this.broadcaster.publish(`tenant:${tenantId}`, job.tenantId, item);
  }

  private jobTopic(): StreamTopic {
    return {
      prefix: 'job',
      authorize: async (principal, id) => {
        if ((await this.findJob(principal, id)) === null) throw AppError.notFound('job');
      },
      snapshot: async (principal, id) => {
        const job = await this.findJob(principal, id);
        if (job === null) return [];
        this.removed.seen(job);
        return [jobItem(job)];
      },
      warmed: (id) => this.removed.warmed(id),
      cooled: (id) => this.removed.cooled(id),
    };
  }

  private tenantTopic(): StreamTopic {
    return {
      prefix: 'tenant',
      authorize: async (principal, id) => void (await this.findTenant(principal, id)),
      snapshot: async (principal, id) => {
        const { name } = await this.findTenant(principal, id);
        const query = { limit: SNAPSHOT_JOBS, tenantId: name, state: UNFINISHED_STATES };
        const jobs = await this.jobs.list(principal, query);
        return jobs.slice(0, SNAPSHOT_JOBS).map((document) => jobItem(toJob(document)));
      },
    };
  }

  private async findJob(principal: Principal, id: string): Promise<Job | null> {
    // An id in a stream key comes from the client as it is.
    if (!objectId.safeParse(id).success) return null;
    const document = await this.jobs.find(principal, id);
    return document === null ? null : toJob(document);
  }

  private async findTenant(principal: Principal, id: string): Promise<Tenant> {
    if (!objectId.safeParse(id).success) {
      const detail = 'there is no such tenant; the key is tenant:<id>, with the id that GET /api/v1/tenants tells';
      throw new AppError('resource.not_found', detail);
    }
    const tenant = await this.tenants.get(principal, id);
    this.tenantIds.set(tenant.name, tenant.id);
    return tenant;
  }
}

function jobItem(job: Job): StreamItem {
  return { eventType: 'job_update', entity: `job:${job.id}`, version: job.version, data: job };
}
