// Lists of runs over three subsystems and reads of one run, through the built service, beside a subsystem called directly and
// what plain connect-es makes of it. Every process is its own, on this machine. Runs against dist/.
import { join } from 'node:path';
import { type Figure, median, milliseconds } from './figure.ts';
import { Child } from './support/child.ts';
import type { Load, LoadResult } from './support/gateway-load.ts';
import { runsOf } from './support/gateway-runs.ts';
import { registerSubsystems } from './support/register-subsystems.ts';
import { ServiceProcess } from './support/service-process.ts';

const SUPPORT = join(import.meta.dirname, 'support');
const SUBSYSTEMS = 3;
const RUNS = 1_000;
const PAGE = 50;
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const ROUND_MS = Number(process.env.BENCH_ROUND_MS ?? 2_000);
const RUN_IDS = runsOf(0, RUNS).map(({ id }) => id);

type Call = Pick<Load, 'method' | 'json'>;

interface Target {
  readonly name: string;
  readonly origin: string;
  /** What takes part beside the load, whose CPU is told. */
  readonly processes: Readonly<Record<string, readonly Child[]>>;
}

interface Round extends LoadResult {
  /** By role, in milliseconds per request. */
  readonly cpuMs: Readonly<Record<string, number>>;
}

async function round(load: Child, { name, origin, processes }: Target, call: Call, forMs: number): Promise<Round> {
  const all = Object.entries({ load: [load], ...processes });
  const cpu = (): number[] => all.map(([, children]) => children.reduce((sum, child) => sum + child.cpuSeconds, 0));
  const before = cpu();
  load.say(JSON.stringify({ origin, ...call, forMs, runIds: RUN_IDS } satisfies Load));
  const result = JSON.parse(await load.line()) as LoadResult;
  if (result.runs !== (call.method === 'listRuns' ? PAGE : 1)) throw new Error(`${name} gave ${result.runs} runs`);
  const after = cpu();
  const cpuMs = all.map(([role], i) => [role, (((after[i] ?? 0) - (before[i] ?? 0)) * 1_000) / result.requests]);
  return { ...result, cpuMs: Object.fromEntries(cpuMs) as Record<string, number> };
}

/** Rounds of all targets, interleaved, so that all meet the same noise of the machine; after one to warm up. */
async function rounds(load: Child, targets: readonly Target[], call: Call): Promise<Map<Target, Round[]>> {
  const measured = new Map<Target, Round[]>(targets.map((target) => [target, []]));
  for (const target of targets) await round(load, target, call, ROUND_MS);
  for (let i = 0; i < ROUNDS; i += 1) {
    for (const [target, each] of measured) each.push(await round(load, target, call, ROUND_MS));
  }
  return measured;
}

const rate = (perSecond: number): string => `${perSecond.toFixed(0)}/s`;
const of = (each: readonly Round[] | undefined, read: (round: Round) => number): number =>
  median((each ?? []).map(read));

function cpuOf(each: readonly Round[]): string {
  const roles = Object.keys(each[0]?.cpuMs ?? {});
  return roles.map((role) => `${role} ${of(each, ({ cpuMs }) => cpuMs[role] ?? NaN).toFixed(2)}`).join(', ');
}

export async function run(): Promise<Figure[]> {
  const subsystems = Array.from({ length: SUBSYSTEMS }, (_, i) => {
    return new Child([join(SUPPORT, 'gateway-subsystem.ts'), String(i), String(RUNS)]);
  });
  const service = new ServiceProcess();
  const load = new Child([join(SUPPORT, 'gateway-load.ts')]);
  const started: Child[] = [...subsystems, load];
  const figures: Figure[] = [];
  try {
    const endpoints = await Promise.all(subsystems.map((subsystem) => subsystem.line()));
    const plain = new Child([join(SUPPORT, 'gateway-peer.ts'), ...endpoints]);
    started.push(plain);
    await registerSubsystems(
      await service.ready(),
      endpoints.map((endpoint, i) => [`s${i}`, endpoint]),
    );
    const direct: Target = {
      name: 'direct',
      origin: endpoints[0] ?? '',
      processes: { subsystem: subsystems.slice(0, 1) },
    };
    const ours: Target = { name: 'ours', origin: service.origin, processes: { service: [service.child], subsystems } };
    const peer: Target = { name: 'connect-es', origin: await plain.line(), processes: { merge: [plain], subsystems } };

    for (const [json, goal] of [
      [false, 0.6],
      [true, 0.4],
    ] as const) {
      const measured = await rounds(load, [direct, ours, peer], { method: 'listRuns', json });
      const third = of(measured.get(direct), ({ perSecond }) => perSecond) / SUBSYSTEMS;
      const [rateOfOurs, rateOfPeer] = [ours, peer].map((each) => of(measured.get(each), ({ perSecond }) => perSecond));
      const [p99, directP99] = [ours, direct].map((each) => of(measured.get(each), ({ p99Ms }) => p99Ms));
      const name = `gateway: ListRuns over ${SUBSYSTEMS} subsystems, pages of ${PAGE}, ${json ? 'JSON' : 'binary'}`;
      const share = (rateOfOurs ?? NaN) / third;
      figures.push(
        {
          figure: name,
          ours: `${rate(rateOfOurs ?? NaN)}, ${share.toFixed(2)} x`,
          peer: `${rate(third)} (a third of direct); connect-es ${((rateOfPeer ?? NaN) / third).toFixed(2)} x`,
          goal: `>= ${goal} x`,
          met: share >= goal,
        },
        {
          figure: `${name}, p99`,
          ours: milliseconds(p99 ?? NaN),
          peer: `${milliseconds(directP99 ?? NaN)} (direct)`,
          goal: '<= 4 x',
          met: (p99 ?? NaN) <= 4 * (directP99 ?? NaN),
        },
        ...[...measured].map(([target, each]) => ({
          figure: `${name}, CPU ms per request, ${target.name}`,
          ours: cpuOf(each),
          peer: '-',
          goal: '-',
          met: true,
        })),
      );
    }

    const measured = await rounds(load, [ours, peer], { method: 'getRun', json: false });
    const [rateOfOurs, rateOfPeer] = [ours, peer].map((each) => of(measured.get(each), ({ perSecond }) => perSecond));
    figures.push({
      figure: 'gateway: GetRun of a known owner',
      ours: `${rate(rateOfOurs ?? NaN)} (CPU ms: ${cpuOf(measured.get(ours) ?? [])})`,
      peer: `${rate(rateOfPeer ?? NaN)} (bare connect-es proxy; CPU ms: ${cpuOf(measured.get(peer) ?? [])})`,
      goal: '>= 0.9 x',
      met: (rateOfOurs ?? NaN) >= 0.9 * (rateOfPeer ?? NaN),
    });
    return figures;
  } finally {
    await service.end();
    for (const child of started) await child.end();
  }
}
