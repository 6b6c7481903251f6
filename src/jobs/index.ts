export { AGENT_DIRECTORY, type AgentDirectory, type AgentIdentity } from './agent-directory.js';
export { JobLeases, type LeaseEntry, type RenewedLeases } from './job-leases.js';
export { JobSweeps, type RecoveryResult } from './sweeps/job-sweeps.js';
export type { Job, ReleaseReason } from './job.js';
export { type JobsConfig, jobsConfig, jobsProblems } from './jobs.config.js';
export { JobsModule } from './jobs.module.js';
export { QueueOrder, type QueueOrderResult } from './sweeps/queue-order.js';
