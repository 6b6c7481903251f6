// Jobs done by processes of the reference agent over HTTP: each is claimed, started and completed by calls of its own.
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Figure } from './figure.ts';
import { Child } from './support/child.ts';
import { agentOf, openJobQueue } from './support/job-queue.ts';
import { ServiceProcess } from './support/service-process.ts';

const AGENTS = 4;
const CAPACITY = 25;
const JOBS = 5_000;
/** Done before the clock starts: processes start, connections open. */
const WARM_UP = 1_000;
const ENQUEUED_AT_ONCE = 500;
const CLI = join(import.meta.dirname, '../agent/cli.ts');

interface Throughput {
  readonly perSecond: number;
  /** Of the service's process alone. */
  readonly perCpuSecond: number;
}

async function completed(service: ServiceProcess): Promise<number> {
  const { byState } = await service.call<{ byState: Record<string, number> }>('GET', '/jobs/stats');
  return byState['completed'] ?? 0;
}

async function overHttp(): Promise<Throughput> {
  const service = await new ServiceProcess().ready();
  const agents: Child[] = [];
  try {
    const asked = { pool: 'platform', maxUses: AGENTS };
    const { token } = await service.call<{ token: string }>('POST', '/bootstrap-tokens', asked);
    const job = { type: 'echo', pool: 'platform', payload: { n: 1 } };
    for (let left = JOBS; left > 0; left -= ENQUEUED_AT_ONCE) {
      await service.call('POST', '/jobs', { jobs: Array.from({ length: ENQUEUED_AT_ONCE }, () => job) });
    }
    for (let index = 0; index < AGENTS; index += 1) {
      const options = ['--url', service.origin, '--token', token, '--capacity', String(CAPACITY)];
      agents.push(new Child([CLI, ...options, '--name', `bench-${index}`]));
    }
    while ((await completed(service)) < WARM_UP) await delay(50);
    const [from, start, cpu] = [await completed(service), performance.now(), service.child.cpuSeconds];
    while ((await completed(service)) < JOBS) await delay(50);
    const done = JOBS - from;
    return {
      perSecond: (done * 1_000) / (performance.now() - start),
      perCpuSecond: done / (service.child.cpuSeconds - cpu),
    };
  } finally {
    await Promise.all(agents.map((agent) => agent.end()));
    await service.end();
  }
}

/** The same number of jobs at a time, by calls of functions: claimed and completed. */
async function inProcess(): Promise<Throughput> {
  const queue = await openJobQueue(undefined);
  try {
    await queue.fill(JOBS + WARM_UP);
    let done = 0;
    const until = async (target: number): Promise<void> => {
      const agent = async (_: unknown, index: number): Promise<void> => {
        const self = agentOf(index + 1);
        while (done < target) {
          const jobs = await queue.claim(self, CAPACITY);
          if (jobs.length === 0) return;
          await Promise.all(jobs.map((job) => queue.complete(self, job)));
          done += jobs.length;
        }
      };
      await Promise.all(Array.from({ length: AGENTS }, agent));
    };
    await until(WARM_UP);
    const [from, start, cpu] = [done, performance.now(), process.cpuUsage()];
    await until(JOBS);
    const { user, system } = process.cpuUsage(cpu);
    const ended = done - from;
    return { perSecond: (ended * 1_000) / (performance.now() - start), perCpuSecond: (ended * 1e6) / (user + system) };
  } finally {
    await queue.close();
  }
}

const text = ({ perSecond, perCpuSecond }: Throughput): string =>
  `${perSecond.toFixed(0)}/s, ${perCpuSecond.toFixed(0)} per CPU s of the service`;

export async function run(): Promise<Figure[]> {
  const [http, bare] = [await overHttp(), await inProcess()];
  return [
    {
      figure: `agents: jobs claimed, started and completed over HTTP by ${AGENTS} agent processes, ${CAPACITY} at a time each`,
      ours: text(http),
      peer: `in process, claimed and completed ${text(bare)}`,
      goal: '-',
      met: http.perSecond > 0,
    },
  ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const figure of await run()) process.stdout.write(`${JSON.stringify(figure)}\n`);
}
