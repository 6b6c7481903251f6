import { Inject, Injectable, Logger } from '@nestjs/common';
import { RANDOM, type Random } from '../runtime/random.js';
import type { AgentIdentity } from './agent-directory.js';
import { JobAnnouncer } from './streams/job-announcer.js';
import { JobChanges } from './job-changes.js';
import { JobReleasesRepository } from './sweeps/job-releases.repository.js';
import { JobReportsRepository } from './reports/job-reports.repository.js';
import { JobSlots } from './job-slots.js';
import type { ReleaseReason } from './job.js';
import { hashOfToken } from './claims/lease-token.js';
import { ReportWriter } from './reports/report-writer.js';

/** A job that an agent says it has. */
export interface LeaseEntry {
  readonly jobId: string;
  readonly token: string;
  readonly progress?: { readonly percent: number; readonly message?: string | undefined } | undefined;
}

/** What a heartbeat is answered. */
export interface RenewedLeases {
  readonly renewed: Array<{ readonly id: string; readonly expiresInMs: number }>;
  /** The agent does not have them any more: it drops the work. */
  readonly lost: string[];
  /** Still its jobs, which it is asked to stop and to tell `fail` of. */
  readonly cancel: string[];
}

const BATCH = 500;

/** Leases of an agent, all at once: renewed by its heartbeat, taken from it when it goes. */
@Injectable()
export class JobLeases {
  private readonly log = new Logger(JobLeases.name);

  constructor(
    private readonly repository: JobReportsRepository,
    private readonly releases: JobReleasesRepository,
    private readonly writer: ReportWriter,
    private readonly changes: JobChanges,
    private readonly slots: JobSlots,
    private readonly announcer: JobAnnouncer,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  async renew(agent: Pick<AgentIdentity, 'id'>, entries: readonly LeaseEntry[]): Promise<RenewedLeases> {
    const leases = entries.map(({ jobId, token }) => ({ jobId, agentId: agent.id, hash: hashOfToken(token) }));
    await this.repository.renew(leases, this.changes.renew());
    await this.progress(agent, entries);
    const held = await this.repository.heldOf(
      agent.id,
      entries.map(({ jobId }) => jobId),
    );
    const byId = new Map(held.map((job) => [job._id.toHexString(), job]));
    const answer: RenewedLeases = { renewed: [], lost: [], cancel: [] };
    for (const { jobId, hash } of leases) {
      const job = byId.get(jobId);
      const lease = job?.lease;
      const expiresInMs = lease?.hash === hash ? lease.expiresAt.getTime() - lease.renewedAt.getTime() : 0;
      // One that may not be renewed any further is over, even if no sweep has seen it yet.
      if (!job || expiresInMs <= 0) {
        answer.lost.push(jobId);
        continue;
      }
      answer.renewed.push({ id: jobId, expiresInMs });
      if (job.cancelRequested) answer.cancel.push(jobId);
    }
    return answer;
  }

  /**
   * Takes all jobs from an agent that is gone; they are tried again as after any lost lease, and at once if it was
   * removed. Returns how many. What `beforeEach` throws ends it.
   */
  async releaseAll(agentId: string, reason: ReleaseReason, beforeEach: () => void = () => undefined): Promise<number> {
    let released = 0;
    for (;;) {
      beforeEach();
      const ids = await this.repository.idsOf(agentId, BATCH);
      if (ids.length === 0) break;
      const change = this.changes.release('agent-health', reason);
      const sweepId = this.random.uuid();
      const jobs = await this.releases.releaseOf(agentId, ids, this.changes.marked(change, sweepId), sweepId);
      this.announcer.changed(jobs);
      for (const job of jobs) await this.slots.fillAfter(job);
      released += jobs.length;
      // Somebody else was faster with all of them, or they are not to be released: the sweep looks again.
      if (jobs.length === 0) break;
    }
    if (released > 0) this.log.log({ message: 'the leases of an agent were released', agentId, reason, released });
    return released;
  }

  private async progress(agent: Pick<AgentIdentity, 'id'>, entries: readonly LeaseEntry[]): Promise<void> {
    const reported = entries.map(async ({ jobId, token, progress }) => {
      if (!progress) return;
      const lease = { jobId, agentId: agent.id, hash: hashOfToken(token) };
      const change = this.changes.progress(progress.percent, progress.message ?? null);
      const job = await this.writer.write({ ...lease, event: 'progress', content: JSON.stringify(progress), change });
      if (job) this.announcer.changed([job]);
    });
    await Promise.all(reported);
  }
}
