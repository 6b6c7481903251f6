// One SSE server in a process of its own, with --expose-gc. Argument: its name (sse-server-<name>.ts). Prints its URL and joining text as one line of
// JSON, then answers each command, a line of JSON on stdin, by one line.
import { createInterface } from 'node:readline';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { type EventServer, benchData } from './sse-event.ts';

export type ServerCommand =
  | {
      readonly type: 'publish';
      readonly turns: number;
      readonly eventsPerTurn: number;
      readonly paddingBytes?: number;
      /** Between two turns; without it one follows the other. */
      readonly everyMs?: number;
    }
  | { readonly type: 'usage'; readonly collect: boolean }
  | { readonly type: 'stop' };

export interface ServerUsage {
  readonly serial: number;
  /** User and system time of the process so far. */
  readonly cpuMs: number;
  readonly residentBytes: number;
}

const name = process.argv[2] ?? '';
const { start } = (await import(`./sse-server-${name}.ts`)) as { start: () => Promise<EventServer> };
const server = await start();
let serial = 0;

async function publish(command: ServerCommand & { type: 'publish' }): Promise<void> {
  for (let done = 0; done < command.turns; done++) {
    for (let event = 0; event < command.eventsPerTurn; event++) {
      serial += 1;
      server.publish(benchData(serial, command.paddingBytes ?? 0));
    }
    await (command.everyMs === undefined ? turn() : delay(command.everyMs));
  }
}

async function collect(): Promise<void> {
  for (let time = 0; time < 3; time++) {
    globalThis.gc?.();
    await delay(100);
  }
}

const say = (answer: object): boolean => process.stdout.write(`${JSON.stringify(answer)}\n`);

say({ url: server.url, joined: server.joined });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as ServerCommand;
  if (command.type === 'publish') await publish(command);
  if (command.type === 'usage' && command.collect) await collect();
  if (command.type === 'stop') await server.stop();
  const { user, system } = process.cpuUsage();
  say({ serial, cpuMs: (user + system) / 1000, residentBytes: process.memoryUsage.rss() } satisfies ServerUsage);
}
process.exit();
