import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { EventStreamParser } from './event-stream-parser.js';

/** `data` of an event, as the service writes it. */
export interface Envelope {
  readonly type: string;
  readonly streamKey: string;
  readonly eventType: string;
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A response whose client can stop reading. Holds what it was given until the client reads on. */
export class FakeStreamClient extends Writable {
  readonly parser = new EventStreamParser();
  readonly req = { httpVersionMajor: 1, method: 'GET', socket: { destroyed: false } };
  private stuck = false;
  private held: { readonly chunk: Buffer; readonly take: () => void } | undefined;
  /** Of the head, once it is written. */
  status: number | undefined;

  constructor(highWaterMark = 64 * 1_024) {
    super({ highWaterMark });
  }

  /** As what the service takes it for. */
  get response(): ServerResponse {
    return this as unknown as ServerResponse;
  }

  get isStuck(): boolean {
    return this.stuck;
  }

  removeHeader(): void {}

  writeHead(status: number): this {
    this.status = status;
    return this;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const take = (): void => {
      this.parser.push(chunk);
      done();
    };
    if (this.stuck) this.held = { chunk, take };
    else take();
  }

  stick(): void {
    this.stuck = true;
  }

  /** Reads what was held, and on. */
  release(): void {
    this.stuck = false;
    const { held } = this;
    this.held = undefined;
    held?.take();
  }

  /** Reads what was held, and stops again. */
  readOnce(): void {
    const { held } = this;
    this.held = undefined;
    held?.take();
  }

  /** The connection breaks: of what was held so much of it, from 0 to 1, still came through. */
  cut(share: number): void {
    const chunk = this.held?.chunk;
    this.held = undefined;
    if (chunk) this.parser.push(chunk.subarray(0, Math.floor(chunk.length * share)));
    this.destroy();
  }

  get events(): (Envelope & { readonly id: string })[] {
    return this.parser.events.map(({ data, lastEventId }) => ({ ...(JSON.parse(data) as Envelope), id: lastEventId }));
  }

  get eventTypes(): string[] {
    return this.parser.events.map(({ type }) => type);
  }
}
