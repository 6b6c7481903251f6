import type { mongo } from 'mongoose';
import type { AgentIdentity } from '../../src/jobs/agent-directory.ts';
import type { ClaimedJob } from '../../src/jobs/job.ts';
import type { JobDocument } from '../../src/jobs/job.document.ts';
import type { JobRequest } from '../../src/jobs/job-enqueue.ts';
import { type InProcessService, openService, room } from './in-process-service.ts';

const ADMIN = { kind: 'user', id: 'bench', role: 'admin', tenantId: '*' } as const;
export const NEVER = new AbortController().signal;
/** No other replica takes the lead. */
export const HELD = { assertHeld: (): void => undefined };
/** The longest request. */
const ENQUEUED_AT_ONCE = 500;
const INSERTED_AT_ONCE = 5_000;

export interface JobQueue {
  readonly jobs: mongo.Collection<JobDocument>;
  readonly database: mongo.Db;
  readonly service: InProcessService;
  enqueue(count: number): Promise<void>;
  /** As if they had been enqueued, without the time that this takes. */
  fill(count: number): Promise<void>;
  claim(agent: AgentIdentity, capacity: number, waitMs?: number): Promise<ClaimedJob[]>;
  complete(agent: AgentIdentity, job: ClaimedJob): Promise<void>;
  recover(): Promise<number>;
  /** Returns the writes that it found to be needed. */
  rerank(): Promise<number>;
  close(): Promise<void>;
}

export const agentOf = (index: number): AgentIdentity => ({
  id: index.toString(16).padStart(24, '0'),
  tenantId: '*',
  labels: {},
  schedulable: true,
});

/** The queue of a service of its own. */
export async function openJobQueue(uri: string | undefined): Promise<JobQueue> {
  const { JobEnqueue } = await room<typeof import('../../src/jobs/job-enqueue.ts')>('jobs/job-enqueue');
  const { JobDispatcher } =
    await room<typeof import('../../src/jobs/claims/job-dispatcher.ts')>('jobs/claims/job-dispatcher');
  const { JobReports } = await room<typeof import('../../src/jobs/reports/job-reports.ts')>('jobs/reports/job-reports');
  const { JobSweeps } = await room<typeof import('../../src/jobs/sweeps/job-sweeps.ts')>('jobs/sweeps/job-sweeps');
  const { QueueOrder } = await room<typeof import('../../src/jobs/sweeps/queue-order.ts')>('jobs/sweeps/queue-order');
  const { JobCollection } = await room<typeof import('../../src/jobs/job-collection.ts')>('jobs/job-collection');
  const { ObjectId } = (await import('mongoose')).default.mongo;

  const service = await openService(uri, 'jobs');
  const { of } = service;
  const [enqueuer, dispatcher, reports] = [of(JobEnqueue), of(JobDispatcher), of(JobReports)];
  const [sweeps, order, jobs] = [of(JobSweeps), of(QueueOrder), of(JobCollection).documents];
  const request: JobRequest = { type: 'bench', payload: { n: 1 }, pool: 'platform', requires: '', priority: 0 };
  let claims = 0;

  return {
    jobs,
    database: service.database,
    service,
    async enqueue(count) {
      for (let left = count; left > 0; left -= ENQUEUED_AT_ONCE) {
        await enqueuer.enqueue(
          ADMIN,
          Array.from({ length: Math.min(left, ENQUEUED_AT_ONCE) }, () => request),
        );
      }
    },
    async fill(count) {
      const [like] = await enqueuer.enqueue(ADMIN, [request]);
      const model = like && (await jobs.findOne({ _id: like._id }));
      if (!model) throw new Error('the job that was enqueued is not there');
      for (let left = count - 1; left > 0; left -= INSERTED_AT_ONCE) {
        const copy = (_: unknown, k: number): JobDocument => ({
          ...model,
          _id: new ObjectId(),
          rank: model.rank + (count - left) + k,
          virtualStart: model.virtualStart + (count - left) + k,
        });
        await jobs.insertMany(Array.from({ length: Math.min(left, INSERTED_AT_ONCE) }, copy), { ordered: false });
      }
    },
    claim: (agent, capacity, waitMs = 0) => {
      claims += 1;
      return dispatcher.claim(agent, { capacity, labels: {}, waitMs, claimId: `bench-${claims}` }, NEVER);
    },
    async complete(agent, { id, lease }) {
      await reports.complete(agent, id, lease.token, { ok: true });
    },
    recover: async () => (await sweeps.recover(NEVER, HELD)).changed,
    rerank: async () => (await order.rerank(NEVER, HELD)).changed,
    close: () => service.close(),
  };
}

/** Keeps as many queued as it says, whatever was taken before. */
export async function topUp(queue: JobQueue, to: number): Promise<void> {
  const queued = await queue.jobs.countDocuments({ state: 'queued' });
  if (queued < to) await queue.fill(to - queued);
}
