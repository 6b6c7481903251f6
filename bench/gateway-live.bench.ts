// Changes of runs of 10 subsystems to 100 watchers, through the built service, beside a plain connect-es pass-through of one
// subsystem to each watcher. Every watcher checks that nothing is missing. Runs against dist/.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Figure, median } from './figure.ts';
import { Child } from './support/child.ts';
import type { WatchersCommand } from './support/gateway-live-watchers.ts';
import { registerSubsystems } from './support/register-subsystems.ts';
import { ServiceProcess } from './support/service-process.ts';

const SUPPORT = join(import.meta.dirname, 'support');
const SUBSYSTEMS = 10;
const WATCHERS = 100;
/** Events that each watcher gets in a turn; the next turn begins when all have got them. */
const EVENTS = 500;
const TURNS = Number(process.env.BENCH_TURNS ?? 10);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);

interface Target {
  readonly name: string;
  readonly origin: string;
  readonly process: Child;
  /** Events of each subsystem that give a watcher one. */
  readonly share: number;
}

interface Round {
  readonly perSecond: number;
  /** By role, in microseconds for each event of each watcher. */
  readonly cpu: Readonly<Record<string, number>>;
}

async function round(source: Child, watchers: Child, target: Target): Promise<Round> {
  const say = async (command: WatchersCommand): Promise<void> => {
    watchers.say(JSON.stringify(command));
    await watchers.line();
  };
  const turn = async (events: number): Promise<number> => {
    source.say(String(events * target.share));
    await say({ events });
    return Number(await source.line());
  };
  await say({ open: target.origin, watchers: WATCHERS });
  await delay(1_000);
  await turn(SUBSYSTEMS);
  await turn(EVENTS);
  const processes = Object.entries({ [target.name]: target.process, watchers, source });
  const before = processes.map(([, child]) => child.cpuSeconds);
  const start = performance.now();
  for (let i = 0; i < TURNS; i += 1) await turn(EVENTS);
  const seconds = (performance.now() - start) / 1_000;
  const deliveries = TURNS * EVENTS * WATCHERS;
  const cpu = processes.map(([role, child], i) => [role, ((child.cpuSeconds - (before[i] ?? 0)) * 1e6) / deliveries]);
  await say({ close: true });
  // The watchers are gone before the next come.
  await delay(500);
  return { perSecond: deliveries / seconds, cpu: Object.fromEntries(cpu) as Record<string, number> };
}

const thousands = (value: number): string => `${(value / 1_000).toFixed(0)} k/s`;

function told(rounds: readonly Round[]): string {
  const roles = Object.keys(rounds[0]?.cpu ?? {});
  const cpu = roles.map((role) => `${role} ${median(rounds.map((each) => each.cpu[role] ?? NaN)).toFixed(1)}`);
  return `${thousands(median(rounds.map(({ perSecond }) => perSecond)))} (CPU µs: ${cpu.join(', ')})`;
}

export async function run(): Promise<Figure[]> {
  const source = new Child([join(SUPPORT, 'gateway-live-source.ts'), String(SUBSYSTEMS)]);
  const watchers = new Child([join(SUPPORT, 'gateway-live-watchers.ts')]);
  const service = new ServiceProcess({ environment: { CROWSNEST_STREAMS_PER_PRINCIPAL: '1000' } });
  const started: Child[] = [source, watchers];
  try {
    const endpoints = JSON.parse(await source.line()) as string[];
    const plain = new Child([join(SUPPORT, 'gateway-live-peer.ts'), ...endpoints]);
    started.push(plain);
    await registerSubsystems(
      await service.ready(),
      endpoints.map((endpoint, i) => [`s${i}`, endpoint]),
    );
    const ours: Target = { name: 'service', origin: service.origin, process: service.child, share: 1 / SUBSYSTEMS };
    const peer: Target = { name: 'pass-through', origin: await plain.line(), process: plain, share: 1 };
    const rounds = new Map<Target, Round[]>([
      [ours, []],
      [peer, []],
    ]);
    for (const target of rounds.keys()) await round(source, watchers, target);
    for (let i = 0; i < ROUNDS; i += 1) {
      for (const [target, each] of rounds) each.push(await round(source, watchers, target));
    }
    const rate = (target: Target): number => median((rounds.get(target) ?? []).map(({ perSecond }) => perSecond));
    const times = rate(ours) / rate(peer);
    return [
      {
        figure: `gateway: events/s to ${WATCHERS} watchers of ${SUBSYSTEMS} subsystems, nothing lost`,
        ours: `${told(rounds.get(ours) ?? [])}, ${times.toFixed(2)} x`,
        peer: `${told(rounds.get(peer) ?? [])}, one subsystem for each watcher`,
        goal: '>= 0.5 x',
        met: times >= 0.5,
      },
    ];
  } finally {
    await service.end();
    for (const child of started) await child.end();
  }
}
