// SSE: what a delivery costs and a client takes, beside unbatched writes on node:http, Nest's `@Sse` and better-sse.
import { setTimeout as delay } from 'node:timers/promises';
import { type Figure, median, milliseconds } from './figure.ts';
import { EVENTS_IN_FLIGHT, SERVERS, type ServerName, SsePair } from './support/sse-pair.ts';

const CROWDS = (process.env.BENCH_SSE_CLIENTS ?? '1000,5000').split(',').map(Number);
const ROUNDS = Number(process.env.BENCH_SSE_ROUNDS ?? 3);
/** For each measurement, at one event a turn; ten times as many at ten. */
const DELIVERIES = 100_000;
/** Before each measurement. */
const WARM_UP_TURNS = 5;
const WARM_UP_CLIENTS = 300;
const STUCK_CLIENTS = 50;
const STUCK_MEGABYTES = 20;
const STUCK_AMONG_HEALTHY = 20;
const LATENCY_SECONDS = Number(process.env.BENCH_SSE_LATENCY_SECONDS ?? 10);
const DRAIN_DEADLINE_MS = 25_000;
const TITLES: Record<ServerName, string> = {
  crowsnest: 'ours',
  raw: 'raw',
  nest: 'Nest @Sse',
  'better-sse': 'better-sse',
};

type ByServer<Value> = Record<ServerName, Value>;
const ofEach = <Value>(make: (name: ServerName) => Value): ByServer<Value> => ({
  crowsnest: make('crowsnest'),
  raw: make('raw'),
  nest: make('nest'),
  'better-sse': make('better-sse'),
});

/** How events are published. */
const LOADS = [
  { title: 'one event a turn', eventsPerTurn: 1, eventsInFlight: EVENTS_IN_FLIGHT },
  { title: '10 events a turn', eventsPerTurn: 10, eventsInFlight: EVENTS_IN_FLIGHT },
  // Nothing to be written together: what a single write costs.
  { title: 'each event published when the last has arrived', eventsPerTurn: 1, eventsInFlight: 1 },
] as const;

interface Fanout {
  /** Of each load. */
  readonly deliveriesPerCpuSecond: readonly number[];
  readonly bytesPerIdleClient: number;
}

async function fanout(name: ServerName, clients: number): Promise<Fanout> {
  const pair = await SsePair.start(name);
  try {
    // What code and pools take once belongs to the base.
    await pair.open(WARM_UP_CLIENTS);
    await pair.deliver(5, 1);
    await pair.close();
    await delay(500);
    const base = await pair.usage(true);
    await pair.open(clients);
    const idle = await pair.usage(true);
    const deliveriesPerCpuSecond: number[] = [];
    for (const { eventsPerTurn, eventsInFlight } of LOADS) {
      await pair.deliver(WARM_UP_TURNS, eventsPerTurn, eventsInFlight);
      const before = await pair.usage();
      const turns = Math.round(DELIVERIES / clients);
      const after = await pair.deliver(turns, eventsPerTurn, eventsInFlight);
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
  const megabyte = { turns: 100, eventsPerTurn: 10, paddingBytes: 700 };
  try {
    // As much as later, so that what the process keeps of the newest events for all clients belongs to the base.
    await pair.open(5);
    for (let sent = 0; sent < STUCK_MEGABYTES; sent++) {
      await pair.publish(megabyte);
      await pair.arrived();
    }
    await pair.openStuck(STUCK_CLIENTS);
    const base = await pair.usage(true);
    let most = 0;
    for (let sent = 0; sent < STUCK_MEGABYTES; sent++) {
      await pair.publish(megabyte);
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

function throughputFigures(clients: number, rounds: ByServer<Fanout[]>): Figure[] {
  const rate = (name: ServerName, load: number): number =>
    median(rounds[name].map((each) => each.deliveriesPerCpuSecond[load] ?? NaN));
  return LOADS.map(({ title, eventsPerTurn, eventsInFlight }, load) => {
    const ours = rate('crowsnest', load);
    const times = (name: ServerName): number => ours / rate(name, load);
    // Node writes together what is written to a socket in one turn, so that raw is unbatched at one event a turn only.
    const unbatched = ours / rate('raw', 0);
    const [raw, nest] = clients >= 5000 ? [1, 2] : [1.5, 3];
    const goals = [
      { goal: `>= ${raw} × raw, >= ${nest} × Nest`, met: times('raw') >= raw && times('nest') >= nest },
      { goal: '>= 6 × raw unbatched', met: unbatched >= 6 },
      { goal: '-', met: true },
    ];
    return {
      figure: `sse: deliveries per CPU second, ${clients} clients, ${title}`,
      ours: `${thousands(ours)}${eventsPerTurn > 1 ? ` (${unbatched.toFixed(1)} × raw unbatched)` : ''}`,
      peer: peers((name) => `${thousands(rate(name, load))}, ${times(name).toFixed(1)} ×`),
      ...(goals[eventsInFlight === 1 ? 2 : load] ?? { goal: '-', met: true }),
    };
  });
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
