// Memory of a watched pod beyond the base, in the service's reflector and in @kubernetes/client-node's informer cache.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Figure, median } from './figure.ts';
import { Child } from './support/child.ts';
import type { Command, ServerFacts } from './support/scripted-api-server.ts';

const PODS = Number(process.env.BENCH_PODS ?? 10_000);
const ROUNDS = 3;
const SUPPORT = join(import.meta.dirname, 'support');
const GOAL = 1024;

interface PerPod {
  heap: number;
  v8: number;
  resident: number;
}

async function measure(side: 'reflector' | 'informer', server: string, caFile: string): Promise<PerPod> {
  const script = join(SUPPORT, 'watch-memory.ts');
  const child = new Child(['--expose-gc', script, side, server, caFile, 'bench', String(PODS)]);
  try {
    return JSON.parse(await child.line()) as PerPod;
  } finally {
    await child.end();
  }
}

export async function run(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'crowsnest-bench-'));
  const api = new Child([join(SUPPORT, 'scripted-api-server.ts')]);
  const [ours, theirs]: [PerPod[], PerPod[]] = [[], []];
  try {
    const { server, caCertificate } = JSON.parse(await api.line()) as ServerFacts;
    const caFile = join(directory, 'ca.crt');
    writeFileSync(caFile, caCertificate);
    for (const namespace of ['warm-up', 'bench']) {
      api.say(JSON.stringify({ type: 'pods', namespace, count: PODS } satisfies Command));
      await api.line();
    }
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(await measure('reflector', server, caFile));
      theirs.push(await measure('informer', server, caFile));
    }
  } finally {
    await api.end();
    rmSync(directory, { recursive: true, force: true });
  }
  const of = (sides: PerPod[], field: keyof PerPod): number => median(sides.map((side) => side[field]));
  const figure = (what: string, field: keyof PerPod, goal?: number): Figure => ({
    figure: `memory: per watched pod of ${PODS}, ${what}`,
    ours: `${of(ours, field).toFixed(0)} bytes`,
    peer: `${of(theirs, field).toFixed(0)} bytes (client-node's informer)`,
    goal: goal === undefined ? '-' : `<= ${goal} bytes`,
    met: goal === undefined || of(ours, field) <= goal,
  });
  return [figure('heap and buffers after a collection', 'v8', GOAL), figure('resident', 'resident')];
}
