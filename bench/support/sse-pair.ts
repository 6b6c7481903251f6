import { join } from 'node:path';
import { Child } from './child.ts';
import type { ClientCommand, ClientReport } from './sse-clients.ts';
import type { ServerCommand, ServerUsage } from './sse-server.ts';
import { startOptions } from './service-process.ts';

export const SERVERS = ['crowsnest', 'raw', 'nest', 'better-sse'] as const;
export type ServerName = (typeof SERVERS)[number];

/** So much is on its way at most, so that what is measured is the server and not a client that falls behind. */
export const EVENTS_IN_FLIGHT = 20;
const ARRIVE_WITHIN_MS = 60_000;

/** A server and its clients, each in a process of its own. */
export class SsePair {
  private readonly server: Child;
  private readonly clients: Child;
  private readonly crowds: Child[] = [];
  private address: { readonly url: string; readonly joined: string } = { url: '', joined: '' };
  private published = 0;

  private constructor(name: ServerName, options: { readonly watchTails?: boolean }) {
    const script = (file: string): string => join(import.meta.dirname, file);
    this.server = new Child([...startOptions(), '--expose-gc', script('sse-server.ts'), name]);
    this.clients = new Child([script('sse-clients.ts'), options.watchTails === true ? 'tails' : '']);
    // Clients that never read have a process of their own too, so that the others' latencies are their own.
    this.crowds.push(this.clients);
  }

  static async start(name: ServerName, options: { readonly watchTails?: boolean } = {}): Promise<SsePair> {
    const pair = new SsePair(name, options);
    pair.address = JSON.parse(await pair.server.line()) as typeof pair.address;
    return pair;
  }

  /** Opens clients that read. They count events from here on. */
  async open(count: number): Promise<void> {
    await this.ask(this.clients, { type: 'open', ...this.address, count, stuck: false });
    this.published = 0;
  }

  /** Opens clients that stop to read as soon as they are joined. */
  async openStuck(count: number): Promise<void> {
    const child = new Child([join(import.meta.dirname, 'sse-clients.ts')]);
    this.crowds.push(child);
    await this.ask(child, { type: 'open', ...this.address, count, stuck: true });
  }

  async close(): Promise<void> {
    for (const child of this.crowds) await this.ask(child, { type: 'close' });
  }

  /** Publishes and waits until every reading client has all of it; throws unless each got each event once. */
  async deliver(turns: number, eventsPerTurn: number, eventsInFlight = EVENTS_IN_FLIGHT): Promise<ServerUsage> {
    const turnsAtOnce = Math.max(1, Math.floor(eventsInFlight / eventsPerTurn));
    for (let done = 0; done < turns; done += turnsAtOnce) {
      await this.publish({ turns: Math.min(turnsAtOnce, turns - done), eventsPerTurn });
      await this.arrived();
    }
    return this.usage();
  }

  async publish(command: Omit<ServerCommand & { type: 'publish' }, 'type'>): Promise<ServerUsage> {
    this.published += command.turns * command.eventsPerTurn;
    return this.tell({ type: 'publish', ...command });
  }

  /** Throws unless every reading client has got, since it was opened, each event once and the last one last. */
  async arrived(): Promise<ClientReport> {
    const { serial } = await this.usage();
    const count = this.published;
    const report = await this.ask(this.clients, { type: 'await', count, withinMs: ARRIVE_WITHIN_MS });
    const { fewest, most, lowestSerial, highestSerial } = report;
    if (fewest !== count || most !== count || lowestSerial !== serial || highestSerial !== serial) {
      throw new Error(`of ${count} events up to ${serial} clients got ${JSON.stringify(report)}`);
    }
    return report;
  }

  async measureLatencies(): Promise<void> {
    await this.ask(this.clients, { type: 'measureLatencies' });
  }

  usage(collect = false): Promise<ServerUsage> {
    return this.tell({ type: 'usage', collect });
  }

  /** Stops the server as at a shutdown. Resolves, when it has stopped and its clients have seen the end, with their report. */
  async stop(withinMs: number): Promise<ClientReport> {
    const ended = this.ask(this.clients, { type: 'awaitEnd', withinMs });
    await this.tell({ type: 'stop' });
    return ended;
  }

  async end(): Promise<void> {
    for (const child of [this.server, ...this.crowds]) await child.end();
  }

  private async tell(command: ServerCommand): Promise<ServerUsage> {
    this.server.say(JSON.stringify(command));
    return JSON.parse(await this.server.line()) as ServerUsage;
  }

  private async ask(child: Child, command: ClientCommand): Promise<ClientReport> {
    child.say(JSON.stringify(command));
    return JSON.parse(await child.line()) as ClientReport;
  }
}
