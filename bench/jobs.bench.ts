// The job queue: what agents, reconcilers and people wait for. Runs against dist/; `node bench/jobs.bench.ts` prints it alone.
import { pathToFileURL } from 'node:url';
import { type Figure, median, milliseconds, quantile } from './figure.ts';
import { ofEveryStore } from './support/every-store.ts';
import { type JobPeer, agendaQueue, bareLoop, bareLoopLikeOurs } from './support/job-peers.ts';
import { type JobQueue, agentOf, openJobQueue, topUp } from './support/job-queue.ts';

const QUEUED = 100_000;
const MOST_QUEUED = Number(process.env.BENCH_JOBS_QUEUED ?? 1_000_000);
const AGENTS = 16;
const ROUNDS = 3;
const ROUND_MS = 2_000;
const BATCHES = [1, 10, 100];
const RANKED = 50_000;

/** Jobs that 16 agents claim and complete in the time. */
async function cycle(queue: JobQueue, batch: number, forMs: number): Promise<number> {
  const until = performance.now() + forMs;
  let done = 0;
  const agent = async (_: unknown, index: number): Promise<void> => {
    const self = agentOf(index + 1);
    while (performance.now() < until) {
      const jobs = await queue.claim(self, batch);
      if (jobs.length === 0) throw new Error('the queue is empty');
      await Promise.all(jobs.map((job) => queue.complete(self, job)));
      done += jobs.length;
    }
  };
  await Promise.all(Array.from({ length: AGENTS }, agent));
  return done;
}

interface Rate {
  readonly perSecond: number;
  /** Of this process, which the embedded store is a thread of: what noise of the machine changes least. */
  readonly perCpuSecond: number;
}

async function rateOf(run: () => Promise<number>): Promise<Rate> {
  const start = performance.now();
  const cpu = process.cpuUsage();
  const done = await run();
  const seconds = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: done / seconds, perCpuSecond: (done * 1e6) / (user + system) };
}

const medianRate = (rates: readonly Rate[]): Rate => ({
  perSecond: median(rates.map(({ perSecond }) => perSecond)),
  perCpuSecond: median(rates.map(({ perCpuSecond }) => perCpuSecond)),
});

const text = ({ perSecond, perCpuSecond }: Rate): string =>
  perSecond === 0 ? 'did nothing' : `${perSecond.toFixed(0)}/s, ${perCpuSecond.toFixed(0)} per CPU s`;

interface Peer {
  readonly name: string;
  readonly peer: JobPeer;
  readonly rates: Rate[];
}

async function peersOf(queue: JobQueue): Promise<Peer[]> {
  const agenda = await agendaQueue(queue.database, QUEUED, AGENTS);
  const peers: Array<[string, JobPeer | null]> = [
    ['bare loop', await bareLoop(queue.database, QUEUED, AGENTS)],
    ['bare loop with our documents and indexes', await bareLoopLikeOurs(queue.jobs, queue.database, QUEUED, AGENTS)],
    ['agenda', agenda],
  ];
  if (agenda === null) process.stderr.write('agenda is not installed: it is not among the peers\n');
  return peers.flatMap(([name, peer]) => (peer === null ? [] : [{ name, peer, rates: [] }]));
}

async function throughput(queue: JobQueue, store: string): Promise<Figure[]> {
  await topUp(queue, QUEUED);
  const peers = await peersOf(queue);
  const ours = new Map<number, Rate[]>(BATCHES.map((batch) => [batch, []]));
  await cycle(queue, 10, ROUND_MS / 2);
  // Interleaved, so that all meet the same noise of the machine.
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [batch, rates] of ours) {
      await topUp(queue, QUEUED);
      rates.push(await rateOf(() => cycle(queue, batch, ROUND_MS)));
    }
    for (const { peer, rates } of peers) {
      await peer.prepare?.();
      rates.push(await rateOf(() => peer.run(ROUND_MS)));
      await peer.end?.();
    }
  }
  const beside = peers.map(({ name, rates }) => ({ name, rate: medianRate(rates) }));
  return BATCHES.map((batch) => {
    const rate = medianRate(ours.get(batch) ?? []);
    const factor = (name: string): number => {
      const peer = beside.find((each) => each.name === name);
      // What did nothing, or is not there, is no measure.
      return peer && peer.rate.perSecond > 0 ? rate.perSecond / peer.rate.perSecond : NaN;
    };
    const factors = beside.map(({ name }) => (factor(name) > 0 ? `${factor(name).toFixed(1)} ×` : '-')).join(', ');
    return {
      figure: `jobs: claim + complete, batches of ${batch}, ${QUEUED.toLocaleString('en')} queued, ${AGENTS} agents, ${store}`,
      ours: `${text(rate)} (${factors})`,
      peer: beside.map((each) => `${each.name} ${text(each.rate)}`).join('; '),
      goal: batch === 100 ? '≥ 5 × the bare loop, ≥ 3 × the queue' : '≥ 3 × the queue',
      met: (batch === 100 ? factor('bare loop') >= 5 : true) && factor('agenda') >= 3,
    };
  });
}

async function idleLatency(queue: JobQueue, store: string): Promise<Figure> {
  const agent = agentOf(1);
  const times: number[] = [];
  for (let i = 0; i < 320; i += 1) {
    const claimed = queue.claim(agent, 1, 30_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const start = performance.now();
    await queue.enqueue(1);
    const [job] = await claimed;
    if (i >= 20) times.push(performance.now() - start);
    if (!job) throw new Error('no job was claimed');
    await queue.complete(agent, job);
  }
  const p99 = quantile(times, 0.99);
  return {
    figure: `jobs: enqueue to claim by a waiting agent, idle queue, p99, ${store}`,
    ours: `${milliseconds(p99)} (median ${milliseconds(median(times))})`,
    peer: '-',
    goal: '≤ 20 ms',
    met: p99 <= 20,
  };
}

async function claimTime(queue: JobQueue, capacity: number, count: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < count + 10; i += 1) {
    const start = performance.now();
    const jobs = await queue.claim(agentOf(1), capacity);
    if (i >= 10) times.push(performance.now() - start);
    if (jobs.length !== capacity) throw new Error(`${jobs.length} jobs instead of ${capacity}`);
  }
  return median(times);
}

/** With little, much and very much queued, from an empty queue upwards. */
async function flatness(queue: JobQueue, store: string): Promise<Figure[]> {
  const sizes = [1_000, QUEUED, MOST_QUEUED].filter((size, index, all) => index === 0 || size > (all[index - 1] ?? 0));
  const ofOne: number[] = [];
  const ofTen: number[] = [];
  for (const size of sizes) {
    await topUp(queue, size + 1_000);
    ofOne.push(await claimTime(queue, 1, 200));
    ofTen.push(await claimTime(queue, 10, 40));
  }
  const figure = (what: string, times: readonly number[]): Figure => {
    const factor = Math.max(...times) / (times[0] ?? NaN);
    return {
      figure: `jobs: a claim of ${what}, median, with ${sizes.map((size) => size.toLocaleString('en')).join(' / ')} queued, ${store}`,
      ours: `${times.map((time) => `${time.toFixed(2)} ms`).join(' / ')} (${factor.toFixed(1)} ×)`,
      peer: '-',
      goal: 'flat within 2 ×',
      met: factor <= 2,
    };
  };
  return [figure('1', ofOne), figure('10', ofTen)];
}

/** A minute of upkeep is one round; versions tell of any write, whoever counted. */
async function upkeep(queue: JobQueue, store: string): Promise<Figure> {
  await topUp(queue, RANKED);
  const filter = { $or: [{ version: { $gt: 1 } }, { sweepId: { $exists: true } }], state: 'queued' as const };
  const before = await queue.jobs.countDocuments(filter);
  let writes = 0;
  const times: number[] = [];
  for (let minute = 0; minute < 20; minute += 1) {
    const start = performance.now();
    writes += await queue.rerank();
    times.push(performance.now() - start);
  }
  writes += (await queue.jobs.countDocuments(filter)) - before;
  return {
    figure: `jobs: writes a minute for priority upkeep, ${RANKED.toLocaleString('en')} queued, ${store}`,
    ours: `${writes} (a round takes ${milliseconds(median(times))})`,
    peer: `every row, every minute (openctem): ${RANKED.toLocaleString('en')}`,
    goal: '0',
    met: writes === 0,
  };
}

async function figuresOf(uri: string | undefined, store: string): Promise<Figure[]> {
  const queue = await openJobQueue(uri);
  try {
    const idle = await idleLatency(queue, store);
    const flat = uri === undefined ? await flatness(queue, store) : [];
    await queue.jobs.deleteMany({});
    const rates = await throughput(queue, store);
    await queue.jobs.deleteMany({});
    const kept = await upkeep(queue, store);
    return [...rates, idle, ...flat, kept];
  } finally {
    await queue.close();
  }
}

export const run = (): Promise<Figure[]> => ofEveryStore(figuresOf);

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const figure of await run()) process.stdout.write(`${JSON.stringify(figure)}\n`);
  process.exit();
}
