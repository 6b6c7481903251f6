// Start to ready and idle resident memory, beside an empty Nest application with the same packages.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Figure, median, megabytes, milliseconds } from './figure.ts';
import { Child } from './support/child.ts';
import { ServiceProcess, startOptions } from './support/service-process.ts';

const ROUNDS = 3;
const IDLE_MS = 10_000;
const EMPTY_APP = join(import.meta.dirname, 'support/empty-app.ts');

interface Start {
  readyMs: number;
  cpuMs: number;
  residentAtReady: number;
  residentIdle: number;
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return String(port);
}

async function until200(url: string): Promise<void> {
  for (;;) {
    const status = await fetch(url).then(
      (answer) => answer.status,
      () => 0,
    );
    if (status === 200) return;
    await delay(5);
  }
}

async function measured(child: Child, ready: Promise<unknown>, begun: number): Promise<Start> {
  await ready;
  const readyMs = performance.now() - begun;
  const [cpuMs, residentAtReady] = [child.cpuSeconds * 1000, child.residentBytes];
  await delay(IDLE_MS);
  return { readyMs, cpuMs, residentAtReady, residentIdle: child.residentBytes };
}

async function ours(dataDir: string): Promise<Start> {
  const port = await freePort();
  const begun = performance.now();
  const service = new ServiceProcess({ dataDir, environment: { PORT: port } });
  try {
    return await measured(service.child, until200(`http://127.0.0.1:${port}/health/ready`), begun);
  } finally {
    await service.end();
  }
}

async function empty(): Promise<Start> {
  const begun = performance.now();
  const child = new Child([...startOptions(), EMPTY_APP]);
  try {
    const listening = child.line().then((url) => until200(`${url}/docs`));
    return await measured(child, listening, begun);
  } finally {
    await child.end();
  }
}

export async function run(): Promise<Figure[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'crowsnest-bench-'));
  const [mine, theirs]: [Start[], Start[]] = [[], []];
  try {
    // The goal is that of a start on existing data: the first one makes it.
    const first = new ServiceProcess({ dataDir });
    await first.ready();
    await first.end();
    for (let round = 0; round < ROUNDS; round++) {
      mine.push(await ours(dataDir));
      theirs.push(await empty());
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
  const of = (starts: Start[], field: keyof Start): number => median(starts.map((start) => start[field]));
  const readyMs = of(mine, 'readyMs');
  const [idle, emptyIdle] = [of(mine, 'residentIdle'), of(theirs, 'residentIdle')];
  return [
    {
      figure: 'start: process to ready, on existing data',
      ours: milliseconds(readyMs),
      peer: `${milliseconds(of(theirs, 'readyMs'))} (empty Nest application)`,
      goal: '< 2 s',
      met: readyMs < 2000,
    },
    {
      figure: 'start: CPU time to ready, all threads',
      ours: milliseconds(of(mine, 'cpuMs')),
      peer: milliseconds(of(theirs, 'cpuMs')),
      goal: '-',
      met: true,
    },
    {
      figure: 'start: resident at ready',
      ours: megabytes(of(mine, 'residentAtReady')),
      peer: megabytes(of(theirs, 'residentAtReady')),
      goal: '-',
      met: true,
    },
    {
      figure: `start: resident after ${IDLE_MS / 1000} s idle`,
      ours: megabytes(idle),
      peer: megabytes(emptyIdle),
      goal: '<= 200 MB, <= 40 MB above the peer',
      met: idle <= 200e6 && idle - emptyIdle <= 40e6,
    },
  ];
}
