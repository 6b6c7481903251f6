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

async function measure(side: 'reflector' | 'informer', server: string, caFile: string): Promise<number> {
  const script = join(SUPPORT, 'watch-memory.ts');
  // V8 throws away code that is not used during a long list: up to 6 MB less, which would hide most of what the pods take.
  const options = ['--expose-gc', '--no-flush-bytecode'];
  const child = new Child([...options, script, side, server, caFile, 'bench', String(PODS)]);
  try {
    return Number(await child.line());
  } finally {
    await child.end();
  }
}

export async function run(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'crowsnest-bench-'));
  const api = new Child([join(SUPPORT, 'scripted-api-server.ts')]);
  const [ours, theirs]: [number[], number[]] = [[], []];
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
  const [mine, informer] = [median(ours), median(theirs)];
  return [
    {
      figure: `memory: per watched pod at ${PODS} more, after a collection`,
      ours: `${mine.toFixed(0)} bytes`,
      peer: `${informer.toFixed(0)} bytes (client-node's informer)`,
      goal: `<= ${GOAL} bytes`,
      met: mine <= GOAL,
    },
  ];
}
