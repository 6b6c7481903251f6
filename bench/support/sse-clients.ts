// Many SSE clients on bare sockets, in a process of their own. Answers each command, a line of JSON on stdin, by one line.
import { type Socket, connect } from 'node:net';
import { createInterface } from 'node:readline';
import { sharedNow } from './sse-event.ts';

export type ClientCommand =
  | {
      readonly type: 'open';
      readonly url: string;
      /** The text with which a client is joined. */
      readonly joined: string;
      readonly count: number;
      /** They stop reading as soon as they are joined. */
      readonly stuck: boolean;
    }
  /** Answered when every client that reads has got `count` events since its opening, or after `withinMs`. */
  | { readonly type: 'await'; readonly count: number; readonly withinMs: number }
  /** From now on, forgetting what was measured before. */
  | { readonly type: 'measureLatencies' }
  /** Answered when every client's connection has ended, or after `withinMs`. */
  | { readonly type: 'awaitEnd'; readonly withinMs: number }
  | { readonly type: 'close' };

export interface ClientReport {
  readonly open: number;
  /** Events that the slowest and the fastest of those that read have got. */
  readonly fewest: number;
  readonly most: number;
  /** Serials of the last event, lowest and highest over all that read. */
  readonly lowestSerial: number;
  readonly highestSerial: number;
  /** Milliseconds from publication to arrival, where they are measured. */
  readonly latencies: { readonly p50: number; readonly p99: number; readonly max: number };
  /** How many ended with the event `shutdown` and a complete body. */
  readonly endedCleanly: number;
  readonly ended: number;
}

const NEEDLE = Buffer.from('"serial":');
const SENT_AT = ',"sentAt":';
const TAIL_BYTES = 600;
const OPENING_AT_ONCE = 64;

let latencies: number[] | undefined;

class Client {
  events = 0;
  serial = 0;
  ended = false;
  tail = '';
  readonly joined: Promise<void>;
  private readonly socket: Socket;
  private carry: Buffer = Buffer.alloc(0);
  private head = '';
  private isJoined = false;
  private readonly stuck: boolean;

  constructor(url: URL, joined: string, stuck: boolean, buffer: Buffer) {
    this.stuck = stuck;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.joined = promise;
    this.socket = connect({
      host: url.hostname,
      port: Number(url.port),
      onread: {
        buffer,
        callback: (size, bytes) => {
          const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, size);
          if (this.isJoined) this.take(chunk);
          else {
            this.head += chunk.toString('latin1');
            if (this.head.includes(joined)) {
              this.isJoined = true;
              this.head = '';
              if (stuck) this.socket.pause();
              resolve();
            }
          }
          return !this.stuck || !this.isJoined;
        },
      },
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => (this.ended = true));
    this.socket.write(`GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nAccept: text/event-stream\r\n\r\n`);
  }

  get reads(): boolean {
    return !this.stuck;
  }

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    const at = sharedNow();
    const edge = Buffer.concat([this.carry, chunk.subarray(0, NEEDLE.length - 1)]);
    if (edge.indexOf(NEEDLE) >= 0) this.events += 1;
    for (let index = chunk.indexOf(NEEDLE); index >= 0; index = chunk.indexOf(NEEDLE, index + NEEDLE.length)) {
      this.events += 1;
      this.read(chunk, index + NEEDLE.length, at);
    }
    this.carry = Buffer.from(chunk.subarray(Math.max(0, chunk.length - NEEDLE.length + 1)));
    if (watchTails) this.tail = (this.tail + chunk.toString('latin1')).slice(-TAIL_BYTES);
  }

  /** What is cut in the middle of its numbers counts, and is read with the next. */
  private read(chunk: Buffer, from: number, at: number): void {
    const [serial = '', rest = ''] = chunk.toString('latin1', from, from + 60).split(SENT_AT, 2);
    const end = rest.indexOf(',');
    if (end < 0) return;
    this.serial = Number(serial);
    latencies?.push(at - Number(rest.slice(0, end)));
  }
}

const clients: Client[] = [];
/** Costs time, so only where the end is of interest. */
const watchTails = process.argv[2] === 'tails';

async function open({ url, joined, count, stuck }: ClientCommand & { type: 'open' }): Promise<void> {
  const buffer = Buffer.alloc(64 * 1024);
  for (let opened = 0; opened < count; opened += OPENING_AT_ONCE) {
    const length = Math.min(OPENING_AT_ONCE, count - opened);
    const batch = Array.from({ length }, () => new Client(new URL(url), joined, stuck, buffer));
    clients.push(...batch);
    await Promise.all(batch.map((client) => client.joined));
  }
}

async function until(condition: () => boolean, withinMs: number): Promise<void> {
  for (const deadline = Date.now() + withinMs; !condition() && Date.now() < deadline;) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function report(): ClientReport {
  const reading = clients.filter((client) => client.reads);
  const of = (read: (client: Client) => number): number[] => reading.map(read).toSorted((a, b) => a - b);
  const events = of((client) => client.events);
  const serials = of((client) => client.serial);
  const sorted = (latencies ?? []).toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return {
    open: clients.filter((client) => !client.ended).length,
    fewest: events[0] ?? 0,
    most: events.at(-1) ?? 0,
    lowestSerial: serials[0] ?? 0,
    highestSerial: serials.at(-1) ?? 0,
    latencies: { p50: at(0.5), p99: at(0.99), max: at(1) },
    ended: clients.filter((client) => client.ended).length,
    endedCleanly: clients.filter(
      ({ ended, tail }) => ended && tail.includes('event: shutdown') && tail.endsWith('\r\n0\r\n\r\n'),
    ).length,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as ClientCommand;
  if (command.type === 'open') await open(command);
  if (command.type === 'await') {
    await until(() => clients.every(({ reads, events }) => !reads || events >= command.count), command.withinMs);
  }
  if (command.type === 'measureLatencies') latencies = [];
  if (command.type === 'awaitEnd') await until(() => clients.every(({ ended }) => ended), command.withinMs);
  if (command.type === 'close') {
    for (const client of clients.splice(0)) client.close();
    latencies = undefined;
  }
  process.stdout.write(`${JSON.stringify(report())}\n`);
}
process.exit();
