import { Injectable } from '@nestjs/common';
import { AppError } from '../../errors/app-error.js';
import type { AgentIdentity } from '../agent-directory.js';
import { JobAnnouncer } from '../streams/job-announcer.js';
import { type Change, JobChanges } from '../job-changes.js';
import { type ListedJobDocument, toJob } from '../job.document.js';
import { JobReportsRepository } from './job-reports.repository.js';
import { JobSlots } from '../job-slots.js';
import type { JobEvent } from '../job-state.js';
import type { Job, JobError } from '../job.js';
import { limitedJson } from '../limited-json.js';
import { type HeldJob, heldJob } from './held-job.js';
import { hashOfToken } from '../claims/lease-token.js';
import { type LeaseClaim, ReportWriter, isTrueOf } from './report-writer.js';

export interface Progress {
  readonly percent: number;
  readonly message?: string | undefined;
}

type Reporter = Pick<AgentIdentity, 'id' | 'tenantId'>;

/**
 * What agents report. Each asks for the token of the lease; one that was lost changes nothing. A report that is
 * repeated, because its answer was lost, is answered as the first one was.
 *
 * All throw AppError `resource.not_found`, `job.lease_lost`, `job.not_transitionable`.
 */
@Injectable()
export class JobReports {
  constructor(
    private readonly repository: JobReportsRepository,
    private readonly writer: ReportWriter,
    private readonly changes: JobChanges,
    private readonly slots: JobSlots,
    private readonly announcer: JobAnnouncer,
  ) {}

  async start(agent: Reporter, jobId: string, token: string): Promise<HeldJob> {
    return heldJob(
      await this.report('start', agent, {
        jobId,
        token,
        content: '',
        change: () => this.changes.start(agent.id),
      }),
    );
  }

  async progress(agent: Reporter, jobId: string, token: string, progress: Progress): Promise<HeldJob> {
    const change = (): Change => this.changes.progress(progress.percent, progress.message ?? null);
    return heldJob(await this.report('progress', agent, { jobId, token, content: JSON.stringify(progress), change }));
  }

  async complete(agent: Reporter, jobId: string, token: string, result: unknown): Promise<Job> {
    const text = result === undefined ? null : limitedJson(result, 'result');
    const change = (hash: string): Change => this.changes.complete(agent.id, hash, text);
    return toJob(await this.reportEnd('complete', agent, { jobId, token, content: text ?? '', change }));
  }

  /** Tried again later, unless the agent says that this is of no use or there are no attempts left. */
  async fail(agent: Reporter, jobId: string, token: string, error: JobError, isRetryable: boolean): Promise<Job> {
    const text = limitedJson(error, 'error');
    const change = (hash: string): Change => this.changes.fail(agent.id, hash, text, isRetryable);
    return toJob(await this.reportEnd('fail', agent, { jobId, token, content: `${isRetryable} ${text}`, change }));
  }

  private async reportEnd(
    event: 'complete' | 'fail',
    agent: Reporter,
    report: AgentReport,
  ): Promise<ListedJobDocument> {
    const document = await this.report(event, agent, report);
    await this.slots.fillAfter(document);
    return document;
  }

  private async report(event: JobEvent, agent: Reporter, report: AgentReport): Promise<ListedJobDocument> {
    const { jobId, token, content, change } = report;
    const hash = hashOfToken(token);
    const lease = { jobId, agentId: agent.id, hash };
    const changed = await this.writer.write({ ...lease, event, content, change: change(hash) });
    if (changed === null) return this.repeatedOrRefused(event, agent, lease);
    this.announcer.changed([changed]);
    return changed;
  }

  private async repeatedOrRefused(event: JobEvent, agent: Reporter, lease: LeaseClaim): Promise<ListedJobDocument> {
    const job = await this.repository.find(agent, lease.jobId);
    if (job === null) throw AppError.notFound('job');
    if (event !== 'progress' && isTrueOf({ event, ...lease }, job)) return job;
    const { state } = job;
    if (job.lease?.agentId === lease.agentId && job.lease.hash === lease.hash) {
      throw new AppError('job.not_transitionable', `the job is ${state}; ${event} is for another state`, {
        details: { state },
      });
    }
    throw new AppError('job.lease_lost', `this agent does not have the job any more; it is ${state}. Drop it`, {
      details: { state },
    });
  }
}

interface AgentReport {
  /** Equal where the changes are. */
  readonly content: string;
  readonly jobId: string;
  readonly token: string;
  readonly change: (hash: string) => Change;
}
