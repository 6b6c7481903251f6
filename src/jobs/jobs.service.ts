import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Principal, Scope } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { type Page, toPage } from '../http/page.js';
import {
  type TenantUsage,
  type TenantsConfig,
  TenantsService,
  type Ticket,
  VirtualClocks,
  tenantsConfig,
} from '../tenants/index.js';
import { JobAnnouncer } from './streams/job-announcer.js';
import { type JobDocument, type ListedJobDocument, toJob, toJobDetail } from './job.document.js';
import { JobSlots } from './job-slots.js';
import { type JobCount, JobStatsRepository } from './job-stats.repository.js';
import { HELD_STATES, JOB_STATES, type JobState, runnableState, statesBefore } from './job-state.js';
import type { Job, JobDetail, QueuePlace } from './job.js';
import { type JobListQuery, JobsRepository } from './jobs.repository.js';
import { refuseBeyondLimit } from './queue-limit.js';
import { rankOf } from './rank.js';

export interface JobStats {
  readonly byState: Readonly<Record<JobState, number>>;
  readonly counts: readonly JobCount[];
  /** There are more combinations than are told. */
  readonly isTruncated: boolean;
}

const MAX_COUNTS = 1_000;
/** Changes of a job between our look and our update, before we stop believing in chance. */
const MAX_ATTEMPTS = 5;

/** What users do with jobs. */
@Injectable()
export class JobsService implements TenantUsage {
  private readonly log = new Logger(JobsService.name);

  constructor(
    private readonly repository: JobsRepository,
    private readonly stored: JobStatsRepository,
    private readonly slots: JobSlots,
    private readonly announcer: JobAnnouncer,
    @Inject(TenantsService) tenants: Pick<TenantsService, 'registerUsage'>,
    @Inject(VirtualClocks) private readonly clocks: Pick<VirtualClocks, 'tick'>,
    @Inject(tenantsConfig.token) private readonly tenantsConfiguration: TenantsConfig,
  ) {
    tenants.registerUsage(this);
  }

  /** @throws AppError `resource.not_found`. */
  async get(scope: Scope, id: string): Promise<JobDetail> {
    const document = await this.repository.find(scope, id);
    if (document === null) throw AppError.notFound('job');
    return toJobDetail(document);
  }

  async list(scope: Scope, query: JobListQuery): Promise<Page<Job>> {
    return toPage(await this.repository.list(scope, query), query.limit, toJob);
  }

  /** Of the scope, or of one tenant in it. */
  async stats(scope: Scope, tenantId: string | undefined): Promise<JobStats> {
    const isAll = scope.tenantId === '*';
    if (!isAll && tenantId !== undefined && tenantId !== scope.tenantId) throw AppError.notFound('tenant');
    const only = isAll ? (tenantId ?? null) : scope.tenantId;
    const { counts, isTruncated } = await this.stored.counts(only, MAX_COUNTS);
    const byState = Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as Record<JobState, number>;
    for (const { state, count } of counts) byState[state] += count;
    return { byState, counts, isTruncated };
  }

  /**
   * Ends a job that waits; asks the agent of one that is in progress to stop. Cancelling one again is fine and changes
   * nothing.
   * @throws AppError `resource.not_found`, `job.not_transitionable`.
   */
  async cancel(principal: Principal, id: string): Promise<Job> {
    const document = await this.repository.cancel(principal, id, principal.id);
    if (document === null) {
      const current = await this.listed(principal, id);
      const isHeld = HELD_STATES.some((state) => state === current.state);
      if (current.state === 'canceled' || (isHeld && current.cancelRequested)) return toJob(current);
      throw refusal(current.state, 'there is nothing to cancel');
    }
    this.log.log({ message: 'a job is being cancelled', jobId: id, state: document.state });
    this.announcer.changed([document]);
    await this.slots.fillAfter(document);
    return toJob(document);
  }

  /**
   * Queues a failed, cancelled or expired job again, as if it had just been enqueued, with all its attempts: not before
   * its time, and within the limit of its tenant.
   * @throws AppError `resource.not_found`, `job.not_transitionable`, `job.limit`.
   */
  async retry(principal: Principal, id: string): Promise<Job> {
    for (let attempt = 1; ; attempt += 1) {
      const job = await this.repository.find(principal, id);
      if (job === null) throw AppError.notFound('job');
      if (!statesBefore('retry').includes(job.state)) throw refusal(job.state, 'it is not to be retried');
      const ticket = await this.clocks.tick(job.tenantId, job.pool, 1);
      if (ticket === null) throw AppError.notFound('job');
      await refuseBeyondLimit(this.repository, ticket.tenant, 1);
      const retried = await this.repository.retry(job, principal.id, this.placeOf(job, ticket));
      if (retried !== null) return this.requeued(principal, retried);
      if (attempt === MAX_ATTEMPTS) throw new Error(`the retry of job ${id} kept being raced`);
    }
  }

  async inUse(tenantId: string): Promise<string | null> {
    const count = await this.repository.countUnfinished(tenantId, Number.POSITIVE_INFINITY);
    return count === 0 ? null : `${count} unfinished ${count === 1 ? 'job' : 'jobs'}`;
  }

  forget(tenantId: string): Promise<void> {
    return this.repository.removeFinished(tenantId);
  }

  private placeOf({ priority, notBefore }: JobDocument, ticket: Ticket): QueuePlace {
    const runAt = notBefore !== null && notBefore.getTime() > ticket.at ? notBefore : null;
    const virtualStart = Math.max(ticket.startOf(0), runAt?.getTime() ?? 0);
    const rank = rankOf(virtualStart, ticket.plan.base + priority, this.tenantsConfiguration.priorityBonus);
    return { state: runAt === null ? runnableState(ticket.tenant) : 'scheduled', runAt, virtualStart, rank };
  }

  private async requeued(principal: Principal, job: ListedJobDocument): Promise<Job> {
    this.log.log({ message: 'a job is retried', jobId: job._id.toHexString(), by: principal.id });
    this.announcer.changed([job]);
    if (job.state !== 'throttled') return toJob(job);
    await this.slots.fillTenant(job.tenantId);
    return toJob(await this.listed(principal, job._id.toHexString()));
  }

  private async listed(scope: Scope, id: string): Promise<ListedJobDocument> {
    const document = await this.repository.find(scope, id);
    if (document === null) throw AppError.notFound('job');
    return document;
  }
}

function refusal(state: JobState, consequence: string): AppError {
  return new AppError('job.not_transitionable', `the job is ${state}; ${consequence}`, { details: { state } });
}
