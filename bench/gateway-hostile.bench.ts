// What a hostile subsystem does to the calls that go to others: reads of three good ones through the built service, with and
// without it in turn. It floods, stalls, drips and cuts its answers, and registers with wrong keys. At a fixed rate: at full load
// the figure would be how the processes share the machine. Every process is its own. Runs against dist/.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Figure, median, milliseconds } from './figure.ts';
import { Child } from './support/child.ts';
import type { Attack, AttackResult } from './support/gateway-hostile.ts';
import type { Load, LoadResult } from './support/gateway-load.ts';
import { runsOf } from './support/gateway-runs.ts';
import { ServiceProcess } from './support/service-process.ts';

const SUPPORT = join(import.meta.dirname, 'support');
const GOOD = ['good-0', 'good-1', 'good-2'];
const HOSTILE = 'hostile';
const RUNS = 1_000;
const PAGE = 50;
/** How often each of the eight connections calls: 400 and 200 calls in a second together. */
const EVERY_MS = { getRun: 20, listRuns: 40 };
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const ROUND_MS = Number(process.env.BENCH_ROUND_MS ?? 4_000);
/** For what the attack has left behind. */
const PAUSE_MS = 200;
/** Reads of its own runs, as users of it make them, and what it does besides. */
const CALLS_PER_SECOND = Number(process.env.BENCH_CALLS_PER_SECOND ?? 10);
const ATTACK = { subsystemId: HOSTILE, callsPerSecond: CALLS_PER_SECOND, registrationsPerSecond: 50 };
const GOAL = 1.1;
/** Which of the good ones has them is known, so that the hostile one is not asked for them. */
const RUN_IDS = runsOf(0, RUNS).map(({ id }) => `${GOOD[0]}~${id}`);

interface Parties {
  readonly service: ServiceProcess;
  readonly load: Child;
  readonly hostile: Child;
}

interface Round extends LoadResult {
  /** Of the service, in percent of a core. */
  readonly cpu: number;
  readonly hostileCpu: number;
  readonly attack: AttackResult | undefined;
}

async function round({ service, load, hostile }: Parties, method: Load['method'], isAttacked: boolean): Promise<Round> {
  const attack: Attack = { ...ATTACK, origin: service.origin };
  if (isAttacked) hostile.say(JSON.stringify(attack));
  const [start, cpu, hostileCpu] = [performance.now(), service.child.cpuSeconds, hostile.cpuSeconds];
  load.say(
    JSON.stringify({
      origin: service.origin,
      method,
      json: false,
      forMs: ROUND_MS,
      runIds: RUN_IDS,
      subsystemIds: GOOD,
      everyMs: EVERY_MS[method],
    } satisfies Load),
  );
  const result = JSON.parse(await load.line()) as LoadResult;
  if (result.runs !== (method === 'listRuns' ? PAGE : 1)) throw new Error(`${method} gave ${result.runs} runs`);
  const seconds = (performance.now() - start) / 1_000;
  const percent = (child: Child, before: number): number => ((child.cpuSeconds - before) / seconds) * 100;
  const took = { cpu: percent(service.child, cpu), hostileCpu: percent(hostile, hostileCpu) };
  if (!isAttacked) return { ...result, ...took, attack: undefined };
  hostile.say('');
  const told = JSON.parse(await hostile.line()) as AttackResult;
  const { answered, refusedRegistrations } = told;
  if (answered === 0 || refusedRegistrations === 0) throw new Error(`no attack: ${JSON.stringify(told)}`);
  await delay(PAUSE_MS);
  return { ...result, ...took, attack: told };
}

async function register(service: ServiceProcess, subsystems: ReadonlyArray<readonly [string, string]>): Promise<void> {
  for (const [id, endpoint] of subsystems) await service.call('POST', '/gateway/subsystems', { id, endpoint });
  for (let tries = 0; ; tries += 1) {
    const { items } = await service.call<{ items: Array<{ state: string }> }>('GET', '/gateway/subsystems');
    if (items.filter(({ state }) => state === 'connected').length === subsystems.length) return;
    if (tries > 100) throw new Error(`the subsystems do not connect: ${JSON.stringify(items)}`);
    await delay(100);
  }
}

const of = (rounds: readonly Round[], read: (round: Round) => number): number => median(rounds.map(read));
const percentOf = (rounds: readonly Round[], read: (round: Round) => number): string =>
  `${of(rounds, read).toFixed(0)} %`;

async function figuresOf(parties: Parties, method: Load['method']): Promise<Figure[]> {
  const [attacked, calm]: [Round[], Round[]] = [[], []];
  for (const isAttacked of [false, true]) await round(parties, method, isAttacked);
  for (let i = 0; i < ROUNDS; i += 1) {
    calm.push(await round(parties, method, false));
    attacked.push(await round(parties, method, true));
  }
  const [ours, peer] = [of(attacked, ({ p99Ms }) => p99Ms), of(calm, ({ p99Ms }) => p99Ms)];
  const name = `gateway: ${method === 'listRuns' ? 'ListRuns' : 'GetRun'} of others beside a hostile subsystem`;
  const rate = (rounds: readonly Round[]): string => `${of(rounds, ({ perSecond }) => perSecond).toFixed(0)}/s`;
  const sum = (read: (result: AttackResult) => number): number =>
    attacked.reduce((total, { attack }) => total + (attack ? read(attack) : 0), 0);
  return [
    {
      figure: `${name}, p99`,
      ours: `${milliseconds(ours)} at ${rate(attacked)}, ${(ours / peer).toFixed(2)} x`,
      peer: `${milliseconds(peer)} at ${rate(calm)} (without it)`,
      goal: `<= ${GOAL} x`,
      met: ours <= GOAL * peer,
    },
    {
      figure: `${name}, CPU of a core`,
      ours: `service ${percentOf(attacked, ({ cpu }) => cpu)}, hostile ${percentOf(attacked, ({ hostileCpu }) => hostileCpu)}`,
      peer: `service ${percentOf(calm, ({ cpu }) => cpu)}, hostile ${percentOf(calm, ({ hostileCpu }) => hostileCpu)}`,
      goal: '-',
      met: true,
    },
    {
      figure: `${name}, what it did`,
      ours:
        `${sum(({ answered }) => answered)} calls of it answered, ${sum(({ reached }) => reached)} let through, ` +
        `${sum(({ refusedRegistrations }) => refusedRegistrations)} registrations refused`,
      peer: '-',
      goal: '-',
      met: true,
    },
  ];
}

export async function run(): Promise<Figure[]> {
  const subsystems = GOOD.map((_, i) => new Child([join(SUPPORT, 'gateway-subsystem.ts'), String(i), String(RUNS)]));
  const hostile = new Child([join(SUPPORT, 'gateway-hostile.ts')]);
  const load = new Child([join(SUPPORT, 'gateway-load.ts')]);
  const service = new ServiceProcess({ environment: { CROWSNEST_GATEWAY_API_KEY: 'the-right-key-of-the-benchmark' } });
  try {
    const endpoints = await Promise.all(subsystems.map((subsystem) => subsystem.line()));
    await service.ready();
    const good = endpoints.map((endpoint, i) => [GOOD[i] ?? '', endpoint] as const);
    await register(service, [...good, [HOSTILE, await hostile.line()]]);
    const parties = { service, load, hostile };
    return [...(await figuresOf(parties, 'getRun')), ...(await figuresOf(parties, 'listRuns'))];
  } finally {
    await service.end();
    for (const child of [...subsystems, hostile, load]) await child.end();
  }
}
