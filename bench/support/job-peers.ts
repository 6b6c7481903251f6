import type { mongo } from 'mongoose';
import type { JobDocument } from '../../src/jobs/job.document.ts';

/** Something that takes jobs of a queue that is full and ends them. */
export interface JobPeer {
  /** Before and after each run, not part of its time. */
  prepare?(): Promise<void>;
  end?(): Promise<void>;
  /** Returns how many it did in this time. */
  run(forMs: number): Promise<number>;
}

interface BareJob extends mongo.Document {
  readonly state: 'queued' | 'claimed' | 'completed';
  readonly rank: number;
  readonly payload: string;
  readonly agentId?: string;
}

const INSERTED_AT_ONCE = 5_000;

async function insert<T extends mongo.Document>(
  into: mongo.Collection<T>,
  count: number,
  make: (index: number) => mongo.OptionalUnlessRequiredId<T>,
): Promise<void> {
  for (let from = 0; from < count; from += INSERTED_AT_ONCE) {
    const some = Array.from({ length: Math.min(INSERTED_AT_ONCE, count - from) }, (_, k) => make(from + k));
    await into.insertMany(some, { ordered: false });
  }
}

/** What anybody would write first: each agent takes the next job by `findOneAndUpdate` and ends it by `updateOne`. */
export async function bareLoop(database: mongo.Db, queued: number, agents: number): Promise<JobPeer> {
  const jobs = database.collection<BareJob>('bare');
  await jobs.createIndex({ state: 1, rank: 1 });
  await insert<BareJob>(jobs, queued, (rank) => ({ state: 'queued', rank, payload: '{"n":1}' }));
  return {
    run: (forMs) =>
      inAgents(agents, forMs, async (agentId) => {
        const claim = { $set: { state: 'claimed' as const, agentId } };
        const job = await jobs.findOneAndUpdate({ state: 'queued' }, claim, { sort: { rank: 1 } });
        if (job === null) throw new Error('the queue of the bare loop is empty');
        await jobs.updateOne({ _id: job._id, state: 'claimed' }, { $set: { state: 'completed' } });
      }),
  };
}

/**
 * The same, on documents and indexes like ours: what the loop costs where jobs can be listed, expire, are taken back
 * from agents that are gone.
 */
export async function bareLoopLikeOurs(
  like: mongo.Collection<JobDocument>,
  database: mongo.Db,
  queued: number,
  agents: number,
): Promise<JobPeer> {
  const jobs = database.collection<JobDocument>('bare_like_ours');
  const indexes = (await like.indexes()).filter(({ name }) => name !== '_id_');
  await jobs.createIndexes(indexes.map(({ v: _v, ...index }) => index as mongo.IndexDescription));
  const { ObjectId } = (await import('mongoose')).default.mongo;
  const model = await like.findOne({ state: 'queued' });
  if (!model) throw new Error('there is no job to copy');
  const { _id, ...fields } = model;
  await insert<JobDocument>(jobs, queued, (rank) => ({ ...fields, _id: new ObjectId(), rank }));
  const { lane } = model;
  return {
    run: (forMs) =>
      inAgents(agents, forMs, async (agentId) => {
        const now = Date.now();
        const lease = { agentId, claimKey: `${agentId}:${now}`, expiresAt: new Date(now + 60_000) };
        const claim = { $set: { state: 'claimed', lease }, $inc: { attempts: 1 }, $unset: { waitingSince: 1 } };
        const order = { sort: { rank: 1, _id: 1 } } as const;
        const job = await jobs.findOneAndUpdate({ lane, state: 'queued' }, claim as never, order);
        if (job === null) throw new Error('the queue of the bare loop is empty');
        const endedAt = new Date();
        const expiresAt = new Date(now + 604_800_000);
        const end = { $set: { state: 'completed', endedAt, expiresAt }, $unset: { lease: 1 } };
        await jobs.updateOne({ _id: job._id, state: 'claimed', 'lease.agentId': agentId }, end as never);
      }),
  };
}

/** Repeats the work of one job in each agent. Returns how often. */
async function inAgents(agents: number, forMs: number, work: (agentId: string) => Promise<void>): Promise<number> {
  const until = performance.now() + forMs;
  let done = 0;
  const agent = async (_: unknown, index: number): Promise<void> => {
    for (; performance.now() < until; done += 1) await work(String(index));
  };
  await Promise.all(Array.from({ length: agents }, agent));
  return done;
}

interface AgendaJob extends mongo.Document {
  readonly nextRunAt: Date;
}

/** agenda of npm, on the same database. Null where it is not installed. */
export async function agendaQueue(database: mongo.Db, queued: number, agents: number): Promise<JobPeer | null> {
  const modules = await loadAgenda();
  if (modules === null) return null;
  const { Agenda, MongoBackend } = modules;
  let rounds = 0;
  let done = 0;
  let agenda: AgendaQueue | undefined;
  return {
    async prepare() {
      // One that was stopped does no job when it is started again, nor does another one on the same collection.
      rounds += 1;
      const collection = `agenda_${rounds}`;
      const sort = { nextRunAt: 1, priority: -1 };
      const backend = new MongoBackend({ mongo: database, collection, ensureIndex: true, sort });
      const limits = { defaultConcurrency: agents, maxConcurrency: agents, defaultLockLimit: 1_000 };
      agenda = new Agenda({ backend, processEvery: 50, ...limits });
      agenda.define('bench', () => {
        done += 1;
        return Promise.resolve();
      });
      await agenda.ready;
      await agenda.now('bench', { n: 1 });
      const jobs = database.collection<AgendaJob>(collection);
      const like = await jobs.findOne({ name: 'bench' });
      if (!like) throw new Error('agenda has not stored its job');
      const { _id, ...fields } = like;
      await insert(jobs, queued, () => ({ ...fields, nextRunAt: new Date() }));
    },
    async run(forMs) {
      const before = done;
      await agenda?.start();
      await new Promise((resolve) => setTimeout(resolve, forMs));
      return done - before;
    },
    async end() {
      await agenda?.stop();
      await database.collection(`agenda_${rounds}`).drop();
    },
  };
}

interface AgendaQueue {
  readonly ready: Promise<unknown>;
  define(name: string, run: () => Promise<void>): void;
  now(name: string, data: object): Promise<unknown>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface AgendaModules {
  readonly Agenda: new (options: object) => AgendaQueue;
  readonly MongoBackend: new (options: object) => object;
}

async function loadAgenda(): Promise<AgendaModules | null> {
  try {
    // By name at run time: the benchmark runs without it, too.
    const names = ['agenda', '@agendajs/mongo-backend'];
    const [queue, backend] = await Promise.all(names.map((name) => import(name) as Promise<object>));
    return { ...queue, ...backend } as AgendaModules;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}
