// Deliveries of one bus under one load, in a process of its own. Arguments: peer, subscribers, `all` or `one` (who wants the events that are
// published), milliseconds of CPU time to measure. Prints publishes and deliveries for each second of CPU time.
import { setImmediate } from 'node:timers/promises';
import { Count, PEERS, type PeerName, type Wanted } from './bus-peers.ts';

/** Published in one go, then all of it is awaited: well below every bound, so that nobody drops. */
const BURST = 64;
const WARM_UP_MS = 400;

const [name = '', subscribers = '', interested = '', measureMs = ''] = process.argv.slice(2);
const counts = Array.from({ length: Number(subscribers) }, () => new Count());
const wanted = counts.map((count, index): Wanted => [interested === 'one' ? `bench.${index}` : 'bench.0', count]);
const takers = interested === 'one' ? counts.slice(0, 1) : counts;
const peer = await PEERS[name as PeerName](wanted);
await setImmediate();

let published = 0;
let sum = 0;

async function load(ms: number): Promise<void> {
  const begin = process.cpuUsage();
  const cpuMs = (): number => {
    const { user, system } = process.cpuUsage(begin);
    return (user + system) / 1_000;
  };
  do {
    for (let burst = 0; burst < 16; burst += 1) {
      for (let index = 0; index < BURST; index += 1) {
        published += 1;
        sum += published & 7;
        peer.publish('bench.0', { n: published & 7 });
      }
      do await setImmediate();
      while (takers.some(({ handled }) => handled < published));
    }
  } while (cpuMs() < ms);
}

await load(WARM_UP_MS);
const before = published;
const begin = process.cpuUsage();
await load(Number(measureMs));
const { user, system } = process.cpuUsage(begin);
const seconds = (user + system) / 1e6;

await peer.stop();
for (const [index, count] of counts.entries()) {
  const expected = index < takers.length ? { handled: published, sum } : { handled: 0, sum: 0 };
  if (count.handled !== expected.handled || count.sum !== expected.sum) {
    throw new Error(`subscriber ${index} of ${name} handled ${count.handled} events, not ${expected.handled}`);
  }
}
const publishes = (published - before) / seconds;
process.stdout.write(`${JSON.stringify({ publishes, deliveries: publishes * takers.length })}\n`);
process.exit(0);
