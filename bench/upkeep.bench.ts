// What reconcilers do to a busy queue: taking back stuck jobs, removing old audit rows. Runs against dist/.
import { pathToFileURL } from 'node:url';
import { type Figure, median, milliseconds, quantile } from './figure.ts';
import { AUDIT_ROWS, oldAuditLog } from './support/audit-rows.ts';
import { type Disturbance, disturbanceOf } from './support/disturbance.ts';
import { ofEveryStore } from './support/every-store.ts';
import { HELD, type JobQueue, NEVER, agentOf, openJobQueue, topUp } from './support/job-queue.ts';

const STUCK = 10_000;
/** Rows that are removed by themselves, to know what all would take. */
const SAMPLE = 2_000;

async function makeStuck(queue: JobQueue): Promise<void> {
  await topUp(queue, STUCK + 20_000);
  for (let held = 0; held < STUCK; held += 100) await queue.claim(agentOf((held / 100) % 100), 100);
  const over = { $set: { 'lease.expiresAt': new Date(0) } };
  await queue.jobs.updateMany({ state: 'claimed' }, over as never);
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

async function recovery(queue: JobQueue, store: string): Promise<Figure[]> {
  await makeStuck(queue);
  const disturbance = await disturbanceOf(queue, () => queue.recover());
  const { result, tookMs } = disturbance;
  if (result < STUCK) throw new Error(`${result} jobs were recovered of ${STUCK}`);
  const oneByOneMs = await recoverOneByOne(queue);
  return [
    {
      figure: `upkeep: recovery of ${STUCK.toLocaleString('en')} stuck jobs, ${store}`,
      ours: milliseconds(tookMs),
      peer: `one by one ${milliseconds(oneByOneMs)}`,
      goal: 'faster than one by one',
      met: tookMs < oneByOneMs,
    },
    ...whileItRan('recovery', disturbance, store),
  ];
}

async function retention(queue: JobQueue, store: string): Promise<Figure[]> {
  const log = await oldAuditLog(queue.service, AUDIT_ROWS);
  const sampled = await log.removeOneByOne(SAMPLE);
  await topUp(queue, 50_000);
  const disturbance = await disturbanceOf(queue, () => log.prune({ signal: NEVER, lease: HELD }));
  const { result, tookMs } = disturbance;
  const left = await log.count();
  if (result.rows !== AUDIT_ROWS - SAMPLE || left > 2) throw new Error(`${result.rows} removed, ${left} left`);
  const rows = AUDIT_ROWS.toLocaleString('en');
  const oneByOneMs = (sampled * AUDIT_ROWS) / SAMPLE;
  return [
    {
      figure: `upkeep: retention of ${rows} audit rows, ${store}`,
      ours: `${(tookMs / 1_000).toFixed(1)} s in ${result.batches} batches, with pauses`,
      peer: `one by one ${(oneByOneMs / 1_000).toFixed(0)} s, extrapolated from ${SAMPLE.toLocaleString('en')}`,
      goal: 'faster than one by one',
      met: tookMs < oneByOneMs,
    },
    ...whileItRan('retention', disturbance, store),
  ];
}

function whileItRan(what: string, { loop, before, during }: Disturbance<unknown>, store: string): Figure[] {
  const [a, b] = [median(before), median(during)];
  return [
    {
      figure: `upkeep: event loop p99 during ${what}, ${store}`,
      ours: milliseconds(loop),
      peer: '-',
      goal: '≤ 50 ms',
      met: loop <= 50,
    },
    {
      figure: `upkeep: a claim during ${what}, median, ${store}`,
      ours: `${milliseconds(b)} (${(b / a).toFixed(1)} ×; p99 ${milliseconds(quantile(during, 0.99))})`,
      peer: `without ${milliseconds(a)} (p99 ${milliseconds(quantile(before, 0.99))})`,
      goal: '≤ 2 × without',
      met: b <= 2 * a,
    },
  ];
}

async function figuresOf(uri: string | undefined, store: string): Promise<Figure[]> {
  const queue = await openJobQueue(uri);
  try {
    return [...(await recovery(queue, store)), ...(await retention(queue, store))];
  } finally {
    await queue.close();
  }
}

export const run = (): Promise<Figure[]> => ofEveryStore(figuresOf);

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const figure of await run()) process.stdout.write(`${JSON.stringify(figure)}\n`);
}
