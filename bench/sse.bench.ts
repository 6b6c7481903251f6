// SSE: what a delivery costs and a client takes, beside unbatched writes on node:http, Nest's `@Sse` and better-sse.
import { setTimeout as delay } from 'node:timers/promises';
import { type Figure, median, milliseconds } from './figure.ts';
import { SERVERS, type ServerName, SsePair } from './support/sse-pair.ts';

const CROWDS = (process.env.BENCH_SSE_CLIENTS ?? '1000,5000').split(',').map(Number);
const ROUNDS = Number(process.env.BENCH_SSE_ROUNDS ?? 3);
const EVENTS_PER_TURN = [1, 10] as const;
/** For each measurement, at one event a turn; ten times as many at ten. */
const DELIVERIES = 200_000;
const WARM_UP_CLIENTS = 300;
const STUCK_CLIENTS = 50;
const STUCK_AMONG_HEALTHY = 20;
const LATENCY_SECONDS = Number(process.env.BENCH_SSE_LATENCY_SECONDS ?? 10);
const DRAIN_DEADLINE_MS = 25_000;
const TITLES: Record<ServerName, string> = {
  crowsnest: 'ours',
  raw: 'raw',
  nest: 'Nest @Sse',
  'better-sse': 'better-sse',
};

type BySever<Value> = Record<ServerName, Value>;
const ofEach = <Value>(make: (name: ServerName) => Value): BySever<Value> => ({
  crowsnest: make('crowsnest'),
  raw: make('raw'),
  nest: make('nest'),
  'better-sse': make('better-sse'),
});

interface Fanout {
  /** By events a turn. */
  readonly deliveriesPerCpuSecond: readonly number[];
  readonly bytesPerIdleClient: number;
}

async function fanout(name: ServerName, clients: number): Promise<Fanout> {
  const pair = await SsePair.start(name);
  try {
    // What code and pools take once belongs to the base.
    await pair.open(WARM_UP_CLIENTS);
    await pair.deliver(50, 10);
    await pair.close();
    await delay(500);
    const base = await pair.usage(true);
    await pair.open(clients);
    const idle = await pair.usage(true);
    const deliveriesPerCpuSecond: number[] = [];
    for (const eventsPerTurn of EVENTS_PER_TURN) {
      await pair.deliver(10, eventsPerTurn);
      const before = await pair.usage();
      const turns = Math.max(20, Math.round(DELIVERIES / clients));
      const after = await pair.deliver(turns, eventsPerTurn);
      deliveriesPerCpuSecond.push((turns * eventsPerTurn * clients * 1000) / (after.cpuMs - before.cpuMs));
    }
    return { deliveriesPerCpuSecond, bytesPerIdleClient: (idle.residentBytes - base.residentBytes) / clients };
  } finally {
    await pair.end();
  }
}

/** Most that a client which never reads makes the server hold, at any time until 20 MB were sent to it. */
async function bytesPerStuckClient(name: ServerName): Promise<number> {
  const pair = await SsePair.start(name);
  try {
    await pair.open(WARM_UP_CLIENTS);
    await pair.deliver(50, 10);
    await pair.close();
    await pair.openStuck(STUCK_CLIENTS);
    const base = await pair.usage(true);
    let most = 0;
    for (let step = 0; step < 20; step++) {
      await pair.publish({ turns: 100, eventsPerTurn: 10, paddingBytes: 700 });
      most = Math.max(most, (await pair.usage(true)).residentBytes - base.residentBytes);
    }
    return most / STUCK_CLIENTS;
  } finally {
    await pair.end();
  }
}

/** p99 of the healthy clients' latencies; throws if one of them lost an event. */
async function latency(stuck: number): Promise<{ p50: number; p99: number }> {
  const pair = await SsePair.start('crowsnest');
  try {
    if (stuck > 0) {
      await pair.openStuck(stuck);
      await pair.publish({ turns: 100, eventsPerTurn: 10, paddingBytes: 15_000 });
    }
    await pair.open(1000);
    await pair.deliver(50, 1);
    await pair.measureLatencies();
    await pair.publish({ turns: LATENCY_SECONDS * 10, eventsPerTurn: 1, everyMs: 100 });
    return (await pair.arrived()).latencies;
  } finally {
    await pair.end();
  }
}

async function drain(clients: number): Promise<{ endedCleanly: number; tookMs: number }> {
  const pair = await SsePair.start('crowsnest', { watchTails: true });
  try {
    await pair.open(clients);
    await pair.deliver(5, 1);
    const begun = performance.now();
    const { endedCleanly } = await pair.stop(DRAIN_DEADLINE_MS);
    return { endedCleanly, tookMs: performance.now() - begun };
  } finally {
    await pair.end();
  }
}

const thousands = (value: number): string => `${(value / 1000).toFixed(0)} k`;
const kilobytes = (value: number): string => `${(value / 1000).toFixed(1)} KB`;

function peers(of: (name: ServerName) => string): string {
  return SERVERS.filter((name) => name !== 'crowsnest')
    .map((name) => `${of(name)} (${TITLES[name]})`)
    .join(', ');
}

function throughputFigures(clients: number, rounds: BySever<Fanout[]>): Figure[] {
  const rate = (name: ServerName, index: number): number =>
    median(rounds[name].map((each) => each.deliveriesPerCpuSecond[index] ?? NaN));
  const of = (index: number): Figure => {
    const ours = rate('crowsnest', index);
    const beside = (name: ServerName): number => ours / rate(name, index);
    const unbatched = ours / rate('raw', 0);
    const [raw, nest] = clients >= 5000 ? [1, 2] : [1.5, 3];
    const eventsPerTurn = EVENTS_PER_TURN[index] ?? NaN;
    return {
      figure: `sse: deliveries per CPU second, ${clients} clients, ${eventsPerTurn} events a turn`,
      ours: `${thousands(ours)}${index > 0 ? ` (${unbatched.toFixed(1)} × raw at 1 a turn)` : ''}`,
      peer: peers((name) => `${thousands(rate(name, index))}, ${beside(name).toFixed(1)} ×`),
      goal: index > 0 ? '>= 6 × raw' : `>= ${raw} × raw, >= ${nest} × Nest`,
      met: index > 0 ? unbatched >= 6 : beside('raw') >= raw && beside('nest') >= nest,
    };
  };
  return EVENTS_PER_TURN.map((_, index) => of(index));
}

async function fanoutFigures(clients: number, largest: boolean): Promise<Figure[]> {
  const rounds = ofEach((): Fanout[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of SERVERS) rounds[name].push(await fanout(name, clients));
  }
  const figures = throughputFigures(clients, rounds);
  const idle = (name: ServerName): number => median(rounds[name].map((each) => each.bytesPerIdleClient));
  if (largest) {
    figures.push({
      figure: `sse: resident memory per idle client at ${clients}`,
      ours: kilobytes(idle('crowsnest')),
      peer: peers((name) => kilobytes(idle(name))),
      goal: '<= 25 KB',
      met: idle('crowsnest') <= 25_000,
    });
  }
  return figures;
}

async function stuckFigures(): Promise<Figure[]> {
  const held = ofEach(() => NaN);
  for (const name of SERVERS) held[name] = await bytesPerStuckClient(name);
  const [none, some] = [[await latency(0)], [await latency(STUCK_AMONG_HEALTHY)]];
  for (let round = 1; round < ROUNDS; round++) {
    none.push(await latency(0));
    some.push(await latency(STUCK_AMONG_HEALTHY));
  }
  const [p99, p99Without] = [median(some.map((each) => each.p99)), median(none.map((each) => each.p99))];
  return [
    {
      figure: `sse: resident memory per stuck client of ${STUCK_CLIENTS}, at most`,
      ours: kilobytes(held.crowsnest),
      peer: peers((name) => kilobytes(held[name])),
      goal: '<= 300 KB',
      met: held.crowsnest <= 300_000,
    },
    {
      figure: `sse: ${STUCK_AMONG_HEALTHY} stuck among 1000, the others' p99 (nothing lost)`,
      ours: milliseconds(p99),
      peer: `${milliseconds(p99Without)} (none stuck)`,
      goal: '<= 2 ×',
      met: p99 <= 2 * p99Without,
    },
  ];
}

export async function run(): Promise<Figure[]> {
  const figures: Figure[] = [];
  const largest = Math.max(...CROWDS);
  for (const clients of CROWDS) figures.push(...(await fanoutFigures(clients, clients === largest)));
  figures.push(...(await stuckFigures()));
  const { endedCleanly, tookMs } = await drain(1000);
  figures.push({
    figure: 'sse: clients of 1000 that got the last event and a clean end at shutdown',
    ours: `${endedCleanly} in ${(tookMs / 1000).toFixed(1)} s`,
    peer: '-',
    goal: `1000 in ${DRAIN_DEADLINE_MS / 1000} s`,
    met: endedCleanly === 1000 && tookMs <= DRAIN_DEADLINE_MS,
  });
  return figures;
}
