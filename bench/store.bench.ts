// The embedded store beside a real MongoDB-compatible server. Runs against dist/; `node --expose-gc bench/store.bench.ts` prints it alone.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import mongoose from 'mongoose';
import { type Figure, median } from './figure.ts';

interface Store {
  readonly uri: string;
  stop(): Promise<void>;
}

interface Task {
  _id: number;
  tenant: number;
  priority: number;
  at: number;
  count: number;
  text: string;
}

type Tasks = mongoose.mongo.Collection<Task>;

const DOCUMENTS = Number(process.env.BENCH_STORE_DOCUMENTS ?? 1_000_000);
const TENANTS = 100;
const NO_PEER = 'not run: TEST_MONGODB_URI is not set';
const PEER_DOCUMENTS = 20_000;
const ROUNDS = 5;
const ROUND_MS = 1000;

const task = (_id: number): Task => ({
  _id,
  tenant: _id % TENANTS,
  priority: (_id * 7919) % 10,
  at: _id,
  count: 0,
  text: 'x'.repeat(200),
});

async function fill(tasks: Tasks, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 5000) {
    await tasks.insertMany(
      Array.from({ length: Math.min(5000, to - at) }, (_, i) => task(at + i)),
      { ordered: false },
    );
  }
}

async function medianMs(count: number, run: (i: number) => Promise<unknown>): Promise<number> {
  for (let i = 0; i < 50; i++) await run(i);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await run(i);
    times.push(performance.now() - start);
  }
  return median(times);
}

async function reads(uri: string): Promise<Figure[]> {
  const client = await new mongoose.mongo.MongoClient(uri).connect();
  const tasks = client.db('bench').collection<Task>('million');
  await tasks.createIndex({ tenant: 1, priority: -1, at: 1 });
  await fill(tasks, 0, DOCUMENTS);
  const page = await medianMs(500, async (i) => {
    const found = await tasks.find({ tenant: i % TENANTS }, { sort: { priority: -1, at: 1 }, limit: 10 }).toArray();
    if (found.length !== 10) throw new Error(`${found.length} documents instead of 10`);
  });
  const byId = await medianMs(500, async (i) => {
    if (!(await tasks.findOne({ _id: (i * 104_729) % DOCUMENTS }))) throw new Error('document not found');
  });
  await client.close();
  const of = `of ${DOCUMENTS.toLocaleString('en')} documents`;
  return [
    {
      figure: `store: 10 ${of} by a compound index, in order, median`,
      ours: `${page.toFixed(2)} ms`,
      peer: '-',
      goal: '< 5 ms',
      met: page < 5,
    },
    {
      figure: `store: one ${of} by id, median`,
      ours: `${byId.toFixed(2)} ms`,
      peer: '-',
      goal: '< 1 ms',
      met: byId < 1,
    },
  ];
}

/** The durable operations compared; each is acknowledged only when it is on the disk. */
const OPERATIONS: Record<string, (tasks: Tasks, next: () => number) => Promise<unknown>> = {
  insertOne: (tasks, next) => tasks.insertOne(task(PEER_DOCUMENTS + next())),
  'findOneAndUpdate by id': (tasks, next) =>
    tasks.findOneAndUpdate({ _id: next() % PEER_DOCUMENTS }, { $inc: { count: 1 } }, { returnDocument: 'after' }),
  'find by index, sort, limit 10': (tasks, next) =>
    tasks.find({ tenant: next() % TENANTS }, { sort: { priority: -1, at: 1 }, limit: 10 }).toArray(),
};

async function rate(run: () => Promise<unknown>, concurrency: number): Promise<number> {
  const start = performance.now();
  let done = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - start < ROUND_MS) {
      await run();
      done++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return (done * 1000) / (performance.now() - start);
}

async function prepared(uri: string): Promise<{ tasks: Tasks; next: () => number; close: () => Promise<void> }> {
  const client = await new mongoose.mongo.MongoClient(uri).connect();
  const name = `bench_${process.pid}`;
  const tasks = client.db(name).collection<Task>('tasks');
  await tasks.createIndex({ tenant: 1, priority: -1, at: 1 });
  await fill(tasks, 0, PEER_DOCUMENTS);
  let n = 0;
  const close = async (): Promise<void> => {
    await client.db(name).dropDatabase();
    await client.close();
  };
  return { tasks, next: () => n++, close };
}

async function rates(uri: string, peerUri: string | undefined): Promise<Figure[]> {
  const ours = await prepared(uri);
  const peer = peerUri === undefined ? undefined : await prepared(peerUri);
  const figures: Figure[] = [];
  for (const [name, operate] of Object.entries(OPERATIONS)) {
    for (const concurrency of [1, 16]) {
      const mine: number[] = [];
      const theirs: number[] = [];
      // Interleaved, so that both sides meet the same noise of the machine.
      for (let round = 0; round < ROUNDS; round++) {
        mine.push(await rate(() => operate(ours.tasks, ours.next), concurrency));
        if (peer) theirs.push(await rate(() => operate(peer.tasks, peer.next), concurrency));
      }
      const [a, b] = [median(mine), peer ? median(theirs) : undefined];
      figures.push({
        figure: `store: ${name}, ${concurrency} at once`,
        ours: `${a.toFixed(0)} operations/s`,
        peer: b === undefined ? NO_PEER : `${b.toFixed(0)} operations/s`,
        goal: 'at or above the peer',
        met: b === undefined || a >= b,
      });
    }
  }
  await ours.close();
  await peer?.close();
  return figures;
}

export async function run(): Promise<Figure[]> {
  const built = new URL('../dist/embedded-store/index.js', import.meta.url);
  const { startEmbeddedStore } = (await import(built.href)) as {
    startEmbeddedStore: (options: { dataDir: string }) => Promise<Store>;
  };
  const dataDir = mkdtempSync(join(tmpdir(), 'crowsnest-bench-'));
  const store = await startEmbeddedStore({ dataDir });
  try {
    return [...(await rates(store.uri, process.env.TEST_MONGODB_URI)), ...(await reads(store.uri))];
  } finally {
    await store.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const figure of await run()) process.stdout.write(`${JSON.stringify(figure)}\n`);
}
