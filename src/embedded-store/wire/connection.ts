import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../runtime/clock.js';
import { HEADER_BYTES, MAX_MESSAGE_BYTES, type WireRequest, frameReply, parseMessage } from './op-msg.js';

/** A message begun must end, and an answer must be taken, within this time: a peer that does neither is gone. */
const STALL_MS = 30_000;
/** At a stop, the last answers get this long to leave. */
const CLOSE_MS = 500;

export interface ConnectionOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  readonly execute: (request: WireRequest, reply: (body: Uint8Array) => void) => void;
  readonly onMalformed: (error: unknown) => void;
  readonly onClose: () => void;
}

/**
 * One client's socket: cuts the bytes into messages, hands them on one at a time, writes the answers. Anything malformed ends this
 * connection alone. While an answer is owed or unsent nothing more is read, so that a client that only sends cannot fill memory.
 */
export class Connection {
  private readonly options: ConnectionOptions;
  private chunks: Buffer[] = [];
  private buffered = 0;
  private isBusy = false;
  private responses = 0;
  private stall: Timer | undefined;

  constructor(options: ConnectionOptions) {
    this.options = options;
    const { socket } = options;
    socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.buffered += chunk.length;
      this.advance();
    });
    socket.on('drain', () => this.advance());
    // The reset of a client that went away says nothing; 'close' follows.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.stall?.cancel();
      this.chunks = [];
      options.onClose();
    });
  }

  destroy(): void {
    this.options.socket.destroy();
  }

  /** Sends the answers already written, then ends; a peer that does not take them is cut. */
  close(): void {
    this.options.socket.destroySoon();
    this.options.clock.after(CLOSE_MS, () => this.destroy(), { unref: true });
  }

  private peek(count: number): Buffer {
    const [first] = this.chunks;
    if (!first || first.length < count) this.chunks = [Buffer.concat(this.chunks)];
    return this.chunks[0] ?? Buffer.alloc(0);
  }

  private take(count: number): Buffer {
    const all = this.peek(count);
    const rest = all.subarray(count);
    if (rest.length > 0) this.chunks[0] = rest;
    else this.chunks.shift();
    this.buffered -= count;
    return all.subarray(0, count);
  }

  private advance(): void {
    const { socket } = this.options;
    if (socket.destroyed) return;
    const isBlocked = this.isBusy || socket.writableNeedDrain;
    if (!isBlocked && this.buffered >= HEADER_BYTES) {
      const length = this.peek(HEADER_BYTES).readInt32LE(0);
      if (length < HEADER_BYTES + 5 || length > MAX_MESSAGE_BYTES) {
        this.refuse(new RangeError(`message length ${length}`));
        return;
      }
      if (this.buffered >= length) this.dispatch(length);
    }
    const mustWait = this.isBusy || socket.writableNeedDrain;
    if (mustWait) socket.pause();
    else socket.resume();
    this.watchStall(socket.writableNeedDrain || (!this.isBusy && this.buffered > 0));
  }

  /** Restarts with every byte that comes, so a slow but living client is not cut. */
  private watchStall(isWaiting: boolean): void {
    this.stall?.cancel();
    this.stall = isWaiting ? this.options.clock.after(STALL_MS, () => this.destroy(), { unref: true }) : undefined;
  }

  private dispatch(length: number): void {
    let request: WireRequest;
    try {
      request = parseMessage(this.take(length));
    } catch (error) {
      this.refuse(error);
      return;
    }
    this.isBusy = true;
    this.options.execute(request, (body) => {
      this.isBusy = false;
      const { socket } = this.options;
      if (socket.destroyed) return;
      if (!request.isOneWay) {
        socket.cork();
        for (const part of frameReply(request, ++this.responses, body)) socket.write(part);
        socket.uncork();
      }
      this.advance();
    });
  }

  private refuse(error: unknown): void {
    this.options.onMalformed(error);
    this.destroy();
  }
}
