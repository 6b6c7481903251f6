// The event bus beside what one would take instead. Every delivery is counted by a handler that does the same for all, and checked: who loses,
// repeats or misdirects an event fails. Runs against dist/.
import { join } from 'node:path';
import { type Figure, median } from './figure.ts';
import { PEERS, type PeerName } from './support/bus-peers.ts';
import { Child } from './support/child.ts';

const ROUNDS = Number(process.env.BENCH_BUS_ROUNDS ?? 5);
const MEASURE_MS = 300;
const SCRIPT = join(import.meta.dirname, 'support', 'bus-load.ts');

interface Load {
  readonly subscribers: number;
  /** Who wants the events that are published. */
  readonly interested: 'all' | 'one';
}

interface Rates {
  /** Both for each second of CPU time, of all threads. */
  readonly publishes: number;
  readonly deliveries: number;
}

type Medians = ReadonlyMap<PeerName, Rates>;

const LOADS: readonly Load[] = [
  { subscribers: 1, interested: 'all' },
  { subscribers: 10, interested: 'all' },
  { subscribers: 100, interested: 'all' },
  { subscribers: 100, interested: 'one' },
];

/** A process of its own for each figure: what V8 learnt from one bus would slow down the next. */
async function measure(peer: PeerName, { subscribers, interested }: Load): Promise<Rates> {
  const child = new Child([SCRIPT, peer, String(subscribers), interested, String(MEASURE_MS)]);
  try {
    return JSON.parse(await child.line()) as Rates;
  } finally {
    await child.end();
  }
}

async function medians(load: Load): Promise<Medians> {
  const names = Object.keys(PEERS) as PeerName[];
  // One Subject for all types tells everybody everything, so alone it cannot route.
  const peers = load.interested === 'one' ? names.filter((name) => name !== 'Subject') : names;
  const samples = new Map(peers.map((peer) => [peer, [] as Rates[]]));
  // Interleaved, so that all meet the same noise of the machine.
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [peer, rates] of samples) rates.push(await measure(peer, load));
  }
  return new Map(
    [...samples].map(([peer, rates]) => [
      peer,
      {
        publishes: median(rates.map((each) => each.publishes)),
        deliveries: median(rates.map((each) => each.deliveries)),
      },
    ]),
  );
}

const millions = (value: number): string => `${(value / 1e6).toFixed(value < 1e7 ? 2 : 1)} M/s`;

function compare({ subscribers, interested }: Load, rates: Medians): Figure {
  const of = (peer: PeerName): number => rates.get(peer)?.deliveries ?? Number.NaN;
  const sparse = interested === 'one';
  const [reference, factor] = sparse ? (['Subject + filter', 20] as const) : (['Subject', 0.5] as const);
  const ratio = of('ours') / of(reference);
  const others = [...rates].filter(([peer]) => peer !== 'ours');
  return {
    figure: `bus: deliveries per CPU second, ${subscribers} subscriber${subscribers > 1 ? 's' : ''}${sparse ? ', one interested' : ''} (bursts of 64 events without a coalesce key)`,
    ours: `${millions(of('ours'))} = ${ratio.toFixed(2)} × ${reference}`,
    peer: others.map(([peer, { deliveries }]) => `${peer} ${millions(deliveries)}`).join(', '),
    goal: `>= ${factor} × ${reference}, > Effect PubSub`,
    met: ratio >= factor && of('ours') > of('Effect PubSub'),
  };
}

export async function run(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const load of LOADS) figures.push(compare(load, await medians(load)));
  return figures;
}
