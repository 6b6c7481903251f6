// What registered subsystems take that do nothing but answer pings: memory each, beside a bare node:http2 connection with one
// open stream, and CPU, beside the same service with none. The built service, the subsystems' streams and the endpoint that they
// all announce are processes of their own. Runs against dist/.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Figure } from './figure.ts';
import { Child } from './support/child.ts';
import type { Registrants } from './support/gateway-registrants.ts';
import { ServiceProcess } from './support/service-process.ts';

const SUPPORT = join(import.meta.dirname, 'support');
const SUBSYSTEMS = Number(process.env.BENCH_SUBSYSTEMS ?? 1_000);
/** Come first, so that code and pools which all share are not counted as theirs. */
const FIRST = Math.ceil(SUBSYSTEMS / 10);
const CPU_MS = Number(process.env.BENCH_CPU_MS ?? 30_000);
/** After the last registration: call-backs are through, and each has been pinged. */
const SETTLE_MS = Number(process.env.BENCH_SETTLE_MS ?? 15_000);
const MEASURED = ['--expose-gc', `--import=${join(SUPPORT, 'collect-on-signal.ts')}`];
const GOAL_BYTES = 50_000;
const GOAL_CPU = 5;

/** Resident bytes after a collection. */
async function settledBytes(child: Child): Promise<number> {
  process.kill(child.pid, 'SIGUSR2');
  while ((await child.line()) !== 'collected');
  await delay(500);
  return child.residentBytes;
}

async function cpuPercent(child: Child): Promise<number> {
  const [before, start] = [child.cpuSeconds, performance.now()];
  await delay(CPU_MS);
  return ((child.cpuSeconds - before) / (performance.now() - start)) * 100_000;
}

async function open(clients: Child, registrants: Registrants): Promise<void> {
  clients.say(JSON.stringify(registrants));
  await clients.line();
}

async function untilConnected(service: ServiceProcess, count: number): Promise<void> {
  for (let tries = 0; tries < 120; tries++) {
    let connected = 0;
    for (let cursor: string | null = ''; cursor !== null;) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const page: { items: unknown[]; nextCursor: string | null } = await service.call(
        'GET',
        `/gateway/subsystems?state=connected&limit=200${query}`,
      );
      connected += page.items.length;
      cursor = page.nextCursor;
    }
    if (connected === count) return;
    await delay(500);
  }
  throw new Error(`not all of ${count} subsystems connect`);
}

interface Growth {
  readonly bytesEach: number;
  readonly cpu: number;
}

/** Of a process that holds the server's side, from the first few to all. */
async function growth(server: Child, more: (from: number, to: number) => Promise<void>): Promise<Growth> {
  await more(0, FIRST);
  await delay(SETTLE_MS);
  const before = await settledBytes(server);
  await more(FIRST, SUBSYSTEMS);
  await delay(SETTLE_MS);
  const after = await settledBytes(server);
  return { bytesEach: (after - before) / (SUBSYSTEMS - FIRST), cpu: await cpuPercent(server) };
}

async function bare(): Promise<Growth> {
  const server = new Child([...MEASURED, join(SUPPORT, 'bare-http2-server.ts')]);
  const clients = new Child([join(SUPPORT, 'gateway-registrants.ts')]);
  try {
    const origin = await server.line();
    return await growth(server, (from, to) => open(clients, { origin, from, to }));
  } finally {
    await clients.end();
    await server.end();
  }
}

async function registered(): Promise<Growth & { readonly cpuOfNone: number }> {
  const service = new ServiceProcess({ environment: { NODE_OPTIONS: MEASURED.join(' ') } });
  const clients = new Child([join(SUPPORT, 'gateway-registrants.ts')]);
  const subsystem = new Child([join(SUPPORT, 'gateway-subsystem.ts'), '0', '0']);
  try {
    const endpoint = await subsystem.line();
    await service.ready();
    await delay(SETTLE_MS);
    const cpuOfNone = await cpuPercent(service.child);
    const measured = await growth(service.child, async (from, to) => {
      await open(clients, { origin: service.origin, endpoint, from, to });
      await untilConnected(service, to);
    });
    await untilConnected(service, SUBSYSTEMS);
    return { ...measured, cpuOfNone };
  } finally {
    await clients.end();
    await service.end();
    await subsystem.end();
  }
}

const kilobytes = (bytes: number): string => `${(bytes / 1_000).toFixed(1)} KB`;
const percent = (value: number): string => `${value.toFixed(1)} %`;

export async function run(): Promise<Figure[]> {
  const peer = await bare();
  const ours = await registered();
  const name = `gateway: ${SUBSYSTEMS} registered subsystems, idle`;
  return [
    {
      figure: `${name}, resident memory of each`,
      ours: kilobytes(ours.bytesEach),
      peer: `${kilobytes(peer.bytesEach)} (bare node:http2 connection with one stream)`,
      goal: `<= ${kilobytes(GOAL_BYTES)}`,
      met: ours.bytesEach <= GOAL_BYTES,
    },
    {
      figure: `${name}, CPU of a core over ${CPU_MS / 1_000} s`,
      ours: percent(ours.cpu),
      peer: `${percent(ours.cpuOfNone)} (with none registered)`,
      goal: `<= ${percent(GOAL_CPU)}`,
      met: ours.cpu <= GOAL_CPU,
    },
  ];
}
