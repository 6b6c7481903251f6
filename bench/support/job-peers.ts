import type { mongo } from 'mongoose';

/** Something that takes jobs of a queue that is full and ends them. */
export interface JobPeer {
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

/** What anybody would write first: each agent takes the next job by one `findOneAndUpdate` and ends it by another. */
export async function bareLoop(database: mongo.Db, queued: number, agents: number): Promise<JobPeer> {
  const jobs = database.collection<BareJob>('bare');
  await jobs.createIndex({ state: 1, rank: 1 });
  await insert<BareJob>(jobs, queued, (rank) => ({ state: 'queued', rank, payload: '{"n":1}' }));
  return {
    async run(forMs) {
      const until = performance.now() + forMs;
      let done = 0;
      const agent = async (_: unknown, index: number): Promise<void> => {
        while (performance.now() < until) {
          const claim = { $set: { state: 'claimed' as const, agentId: String(index) } };
          const job = await jobs.findOneAndUpdate({ state: 'queued' }, claim, { sort: { rank: 1 } });
          if (job === null) throw new Error('the queue of the bare loop is empty');
          await jobs.findOneAndUpdate({ _id: job._id, state: 'claimed' }, { $set: { state: 'completed' } });
          done += 1;
        }
      };
      await Promise.all(Array.from({ length: agents }, agent));
      return done;
    },
  };
}

interface AgendaJob extends mongo.Document {
  readonly nextRunAt: Date;
}

/** agenda of npm, on the same database. Null where it is not installed. */
export async function agendaQueue(database: mongo.Db, queued: number, agents: number): Promise<JobPeer | null> {
  const modules = await loadAgenda();
  if (modules === null) return null;
  const { Agenda, MongoBackend } = modules;
  let done = 0;
  const open = async (): Promise<AgendaQueue> => {
    const sort = { nextRunAt: 1, priority: -1 };
    const backend = new MongoBackend({ mongo: database, collection: 'agenda', ensureIndex: true, sort });
    const limits = { defaultConcurrency: agents, maxConcurrency: agents, defaultLockLimit: 1_000 };
    const agenda = new Agenda({ backend, processEvery: 50, ...limits });
    agenda.define('bench', () => {
      done += 1;
      return Promise.resolve();
    });
    await agenda.ready;
    return agenda;
  };
  await (await open()).now('bench', { n: 1 });
  const jobs = database.collection<AgendaJob>('agenda');
  const like = await jobs.findOne({ name: 'bench' });
  if (!like) throw new Error('agenda has not stored its job');
  const { _id, ...fields } = like;
  await insert(jobs, queued, () => ({ ...fields, nextRunAt: new Date() }));
  return {
    async run(forMs) {
      // One that was stopped does not start again.
      const agenda = await open();
      const before = done;
      await agenda.start();
      await new Promise((resolve) => setTimeout(resolve, forMs));
      const during = done - before;
      await agenda.stop();
      return during;
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
