import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { mongo } from 'mongoose';
import type { AgentIdentity } from '../../src/jobs/agent-directory.ts';
import type { ClaimedJob } from '../../src/jobs/job.ts';
import type { JobDocument } from '../../src/jobs/job.document.ts';
import type { JobRequest } from '../../src/jobs/job-enqueue.ts';

type Dist<Module> = Promise<Module>;
const built = (file: string): string => new URL(`../../dist/${file}.js`, import.meta.url).href;
const ADMIN = { kind: 'user', id: 'bench', role: 'admin', tenantId: '*' } as const;
const NEVER = new AbortController().signal;
/** No other replica takes the lead. */
const HELD = { assertHeld: (): void => undefined };
/** The longest request. */
const ENQUEUED_AT_ONCE = 500;
const INSERTED_AT_ONCE = 5_000;

export interface JobQueue {
  readonly jobs: mongo.Collection<JobDocument>;
  readonly database: mongo.Db;
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

/**
 * The queue of the whole service, in this process: on its embedded store in a worker thread, or on a database of its own
 * of the server given. Its reconcilers do not come in between.
 */
export async function openJobQueue(uri: string | undefined): Promise<JobQueue> {
  const { createApp } = await (import(built('app.setup')) as Dist<typeof import('../../src/app.setup.ts')>);
  const { loadAppConfig } = await (import(built('app.config')) as Dist<typeof import('../../src/app.config.ts')>);
  const { Lifecycle } = await (import(built('lifecycle/index')) as Dist<typeof import('../../src/lifecycle/index.ts')>);
  const { SystemClock } = await (import(built('runtime/clock')) as Dist<typeof import('../../src/runtime/clock.ts')>);
  const random = await (import(built('runtime/random')) as Dist<typeof import('../../src/runtime/random.ts')>);
  const room = async <Module>(file: string): Dist<Module> => import(built(`jobs/${file}`)) as Dist<Module>;
  const { JobEnqueue } = await room<typeof import('../../src/jobs/job-enqueue.ts')>('job-enqueue');
  const { JobDispatcher } = await room<typeof import('../../src/jobs/job-dispatcher.ts')>('job-dispatcher');
  const { JobReports } = await room<typeof import('../../src/jobs/job-reports.ts')>('job-reports');
  const { JobSweeps } = await room<typeof import('../../src/jobs/job-sweeps.ts')>('job-sweeps');
  const { QueueOrder } = await room<typeof import('../../src/jobs/queue-order.ts')>('queue-order');
  const { JobCollection } = await room<typeof import('../../src/jobs/job-collection.ts')>('job-collection');
  const { ObjectId } = (await import('mongoose')).default.mongo;

  const dataDir = mkdtempSync(join(tmpdir(), 'crowsnest-bench-'));
  const chance = new random.CryptoRandom();
  const environment = {
    PORT: '0',
    DATA_DIR: dataDir,
    LOG_LEVEL: 'error',
    CROWSNEST_JOB_RECOVERY_PERIOD: '1h',
    CROWSNEST_QUEUE_PRIORITY_PERIOD: '1h',
    ...(uri === undefined
      ? {}
      : { MONGODB_URI: databaseOf(uri), CROWSNEST_SEALING_KEY: chance.bytes(32).toString('base64') }),
  };
  const logger = {
    log: () => undefined,
    warn: () => undefined,
    error: (line: unknown) => void process.stderr.write(`${JSON.stringify(line)}\n`),
  };
  const config = loadAppConfig(environment, chance);
  const app = await createApp({ config, clock: new SystemClock(), random: chance }, logger);
  const of = <T>(type: abstract new (...args: never[]) => T): T => app.get<T>(type, { strict: false });
  const lifecycle = of(Lifecycle);
  await lifecycle.start();
  const [enqueuer, dispatcher, reports] = [of(JobEnqueue), of(JobDispatcher), of(JobReports)];
  const [sweeps, order, jobs] = [of(JobSweeps), of(QueueOrder), of(JobCollection).documents];
  const { connection } = of(JobCollection) as unknown as { connection: { db: mongo.Db } };
  const request: JobRequest = { type: 'bench', payload: { n: 1 }, pool: 'platform', requires: '', priority: 0 };
  let claims = 0;

  return {
    jobs,
    database: connection.db,
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
    async close() {
      if (uri !== undefined) await connection.db.dropDatabase();
      await lifecycle.stop();
      await app.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function databaseOf(uri: string): string {
  const url = new URL(uri);
  url.pathname = `/bench_jobs_${process.pid}`;
  return url.href;
}
