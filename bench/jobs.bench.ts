// The job queue: what agents, reconcilers and people wait for. Runs against dist/; `node bench/jobs.bench.ts` prints it alone.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { type Figure, median, milliseconds, quantile } from './figure.ts';
import { type JobPeer, agendaQueue, bareLoop } from './support/job-peers.ts';
import { type JobQueue, agentOf, openJobQueue } from './support/job-queue.ts';

const QUEUED = 100_000;
const MOST_QUEUED = Number(process.env.BENCH_JOBS_QUEUED ?? 1_000_000);
const AGENTS = 16;
const ROUNDS = 3;
const ROUND_MS = 2_000;
const BATCHES = [1, 10, 100];
const STUCK = 10_000;
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

/** Keeps as many queued as it says, whatever the rounds before have taken. */
async function topUp(queue: JobQueue, to: number): Promise<void> {
  const queued = await queue.jobs.countDocuments({ state: 'queued' });
  if (queued < to) await queue.fill(to - queued);
}

async function perSecond(run: () => Promise<number>): Promise<number> {
  const start = performance.now();
  const done = await run();
  return (done * 1_000) / (performance.now() - start);
}

async function throughput(queue: JobQueue, store: string): Promise<Figure[]> {
  await topUp(queue, QUEUED);
  const bare = await bareLoop(queue.database, QUEUED, AGENTS);
  const agenda = await agendaQueue(queue.database, QUEUED, AGENTS);
  const ours = new Map<number, number[]>(BATCHES.map((batch) => [batch, []]));
  const peers: Array<{ name: string; peer: JobPeer; rates: number[] }> = [
    { name: 'bare loop', peer: bare, rates: [] },
    ...(agenda === null ? [] : [{ name: 'agenda', peer: agenda, rates: [] }]),
  ];
  await cycle(queue, 10, ROUND_MS / 2);
  // Interleaved, so that all meet the same noise of the machine.
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [batch, rates] of ours) {
      await topUp(queue, QUEUED);
      rates.push(await perSecond(() => cycle(queue, batch, ROUND_MS)));
    }
    for (const { peer, rates } of peers) rates.push(await perSecond(() => peer.run(ROUND_MS)));
  }
  // Of agenda its best round: in some it does nothing at all.
  const medians = peers.map(({ name, peer, rates }) => ({
    name,
    rate: peer === agenda ? Math.max(...rates) : median(rates),
  }));
  const beside = medians.map(({ name, rate }) => `${name} ${rate.toFixed(0)}/s`).join(', ');
  const besideAll = agenda === null ? `${beside}; agenda is not installed` : beside;
  return BATCHES.map((batch) => {
    const rate = median(ours.get(batch) ?? []);
    const factors = medians.map((each) => rate / each.rate);
    const [ofBare = 0, ofAgenda = Infinity] = factors;
    return {
      figure: `jobs: claim + complete, batches of ${batch}, ${QUEUED.toLocaleString('en')} queued, ${AGENTS} agents, ${store}`,
      ours: `${rate.toFixed(0)} jobs/s (${factors.map((factor) => `${factor.toFixed(1)} ×`).join(', ')})`,
      peer: besideAll,
      goal: batch === 100 ? '≥ 5 × the bare loop, ≥ 3 × the queue' : '≥ 3 × the queue',
      met: (batch === 100 ? ofBare >= 5 : true) && ofAgenda >= 3,
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

async function makeStuck(queue: JobQueue): Promise<void> {
  await topUp(queue, STUCK + 20_000);
  for (let held = 0; held < STUCK; held += 100) await queue.claim(agentOf((held / 100) % 100), 100);
  const over = { $set: { 'lease.expiresAt': new Date(0) } };
  await queue.jobs.updateMany({ state: 'claimed' }, over as never);
}

/** Of other agents, one after the other, until told to stop. */
async function claimMeanwhile(queue: JobQueue, until: { isOver: boolean }): Promise<number[]> {
  const times: number[] = [];
  while (!until.isOver) {
    const start = performance.now();
    await queue.claim(agentOf(5_000), 1);
    times.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return times;
}

async function recovery(queue: JobQueue, store: string): Promise<Figure[]> {
  await queue.jobs.deleteMany({ state: { $in: ['claimed', 'completed', 'scheduled'] } });
  await makeStuck(queue);
  const idle = { isOver: false };
  const before = claimMeanwhile(queue, idle);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  idle.isOver = true;
  const undisturbed = await before;

  const busy = { isOver: false };
  const during = claimMeanwhile(queue, busy);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  const recovered = await queue.recover();
  const tookMs = performance.now() - start;
  delay.disable();
  busy.isOver = true;
  const disturbed = await during;
  if (recovered < STUCK) throw new Error(`${recovered} jobs were recovered of ${STUCK}`);
  const oneByOneMs = await recoverOneByOne(queue);
  const [a, b] = [median(undisturbed), median(disturbed)];
  const loop = delay.percentile(99) / 1e6;
  return [
    {
      figure: `jobs: recovery of ${STUCK.toLocaleString('en')} stuck jobs, ${store}`,
      ours: `${milliseconds(tookMs)}`,
      peer: `one by one ${milliseconds(oneByOneMs)}`,
      goal: 'faster than one by one',
      met: tookMs < oneByOneMs,
    },
    {
      figure: `jobs: event loop p99 during it, ${store}`,
      ours: milliseconds(loop),
      peer: '-',
      goal: '≤ 50 ms',
      met: loop <= 50,
    },
    {
      figure: `jobs: a claim during it, median, ${store}`,
      ours: `${milliseconds(b)} (p99 ${milliseconds(quantile(disturbed, 0.99))})`,
      peer: `before it ${milliseconds(a)} (p99 ${milliseconds(quantile(undisturbed, 0.99))})`,
      goal: '≤ 2 × before',
      met: b <= 2 * a,
    },
  ];
}

/** The same number of jobs, each read and written by itself. */
async function recoverOneByOne(queue: JobQueue): Promise<number> {
  const ids = await queue.jobs
    .find({ state: 'scheduled' }, { projection: { _id: 1 } })
    .limit(STUCK)
    .toArray();
  const start = performance.now();
  for (const { _id } of ids) {
    const change = { $set: { state: 'scheduled' as const }, $inc: { version: 1 } };
    await queue.jobs.findOneAndUpdate({ _id, state: 'scheduled' }, change as never);
  }
  return ((performance.now() - start) * STUCK) / ids.length;
}

async function figuresOf(uri: string | undefined, store: string): Promise<Figure[]> {
  const queue = await openJobQueue(uri);
  try {
    const idle = await idleLatency(queue, store);
    const flat = uri === undefined ? await flatness(queue, store) : [];
    const clear = { state: { $in: ['claimed', 'queued', 'completed'] as const } };
    await queue.jobs.deleteMany(clear as never);
    const rates = await throughput(queue, store);
    await queue.jobs.deleteMany({});
    const kept = await upkeep(queue, store);
    return [...rates, idle, ...flat, kept, ...(await recovery(queue, store))];
  } finally {
    await queue.close();
  }
}

export async function run(): Promise<Figure[]> {
  const server = process.env.TEST_MONGODB_URI;
  const embedded = await figuresOf(undefined, 'embedded store');
  return server === undefined ? embedded : [...embedded, ...(await figuresOf(server, 'TEST_MONGODB_URI'))];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const figure of await run()) process.stdout.write(`${JSON.stringify(figure)}\n`);
  process.exit();
}
