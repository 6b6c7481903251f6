import { Inject, Module } from '@nestjs/common';
import { AgentWork, AgentsModule, StoredAgentDirectory } from '../agents/index.js';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { TenantsModule } from '../tenants/index.js';
import { AGENT_DIRECTORY } from './agent-directory.js';
import { AgentClaims } from './claims/agent-claims.js';
import { AgentJobsController } from './agent-jobs.controller.js';
import { DueJobs } from './sweeps/due-jobs.js';
import { JobAnnouncer } from './streams/job-announcer.js';
import { JobChanges } from './job-changes.js';
import { JobClaimsRepository } from './claims/job-claims.repository.js';
import { JobCollection } from './job-collection.js';
import { JobDispatcher } from './claims/job-dispatcher.js';
import { JobEnqueue } from './job-enqueue.js';
import { JobLeases } from './job-leases.js';
import { JobReleasesRepository } from './sweeps/job-releases.repository.js';
import { JobReportsRepository } from './reports/job-reports.repository.js';
import { JobReports } from './reports/job-reports.js';
import { JobSlots } from './job-slots.js';
import { JobStatsRepository } from './job-stats.repository.js';
import { JobStreamTopics } from './streams/job-stream-topics.js';
import { JobSweeps } from './sweeps/job-sweeps.js';
import { type JobsConfig, jobsConfig } from './jobs.config.js';
import { JobsController } from './jobs.controller.js';
import { JobsMetrics } from './jobs.metrics.js';
import { JobsRepository } from './jobs.repository.js';
import { JobsService } from './jobs.service.js';
import { QueueOrderRepository } from './sweeps/queue-order.repository.js';
import { QueueOrder } from './sweeps/queue-order.js';
import { RemovedJobStreams } from './streams/removed-job-streams.js';
import { ReportWriter } from './reports/report-writer.js';

/** The job queue: enqueue, claim, report, and the sweeps that heal it. */
@Module({
  imports: [AgentsModule, TenantsModule],
  // `stats` and `claim` are no ids: the routes of agents have no GET, and those of users name `stats` first.
  controllers: [JobsController, AgentJobsController],
  providers: [
    { provide: AGENT_DIRECTORY, useExisting: StoredAgentDirectory },
    AgentClaims,
    DueJobs,
    JobAnnouncer,
    JobChanges,
    JobClaimsRepository,
    JobCollection,
    JobDispatcher,
    JobEnqueue,
    JobLeases,
    JobReleasesRepository,
    JobReports,
    JobReportsRepository,
    JobSlots,
    JobStatsRepository,
    JobStreamTopics,
    JobSweeps,
    JobsMetrics,
    JobsRepository,
    JobsService,
    QueueOrder,
    QueueOrderRepository,
    RemovedJobStreams,
    ReportWriter,
  ],
  exports: [JobLeases, JobSweeps, QueueOrder],
})
export class JobsModule {
  constructor(
    lifecycle: LifecycleRegistry,
    dispatcher: JobDispatcher,
    due: DueJobs,
    streams: JobStreamTopics,
    removed: RemovedJobStreams,
    work: AgentWork,
    leases: JobLeases,
    @Inject(jobsConfig.token) { leaseMs }: JobsConfig,
  ) {
    work.register({
      leaseMs,
      renew: (agent, entries) => leases.renew(agent, entries),
      releaseAll: (agentId, reason) => leases.releaseAll(agentId, reason),
    });
    streams.register();
    removed.register();
    lifecycle.register('executor', dispatcher);
    lifecycle.register('monitors', due);
    lifecycle.register('monitors', removed);
  }
}
