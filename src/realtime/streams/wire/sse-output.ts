import { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { ChunkEncoder } from './chunk-encoder.js';

/** Where the bytes of one stream's body go. */
export interface SseOutput {
  /** Bytes given to it that the client's connection has not taken yet. */
  readonly waitingBytes: number;
  /** All bytes that the client's connection has taken. */
  readonly takenBytes: number;
  /** False when the client takes no more at once; `drain` follows then. */
  write(bytes: Buffer): boolean;
  onDrain(listener: () => void): void;
  offDrain(listener: () => void): void;
}

/**
 * The output of a stream whose head is written. For HTTP/1.1 that is the connection itself; for anything else, HTTP/1.0
 * and HTTP/2 among it, the response.
 */
export function outputOf(response: Writable): SseOutput {
  const direct = response instanceof ServerResponse && response.chunkedEncoding && response.socket !== null;
  return direct ? new ChunkedOutput(response.socket) : new PlainOutput(response);
}

/** Shared: what is written to one client in a turn is mostly written to the next one too. */
const chunks = new ChunkEncoder();

/**
 * Writes chunks of HTTP/1.1 to the connection itself, encoded once for all clients: `response.write` would make three
 * buffers, two closures and a `writev` of each. The response stays the owner of head, last chunk and end.
 */
class ChunkedOutput implements SseOutput {
  constructor(private readonly socket: Socket) {}

  get waitingBytes(): number {
    return this.socket.writableLength;
  }

  get takenBytes(): number {
    return this.socket.bytesWritten - this.socket.writableLength;
  }

  write(bytes: Buffer): boolean {
    return this.socket.write(chunks.encode(bytes));
  }

  onDrain(listener: () => void): void {
    this.socket.on('drain', listener);
  }

  offDrain(listener: () => void): void {
    this.socket.off('drain', listener);
  }
}

class PlainOutput implements SseOutput {
  private writtenBytes = 0;

  constructor(private readonly response: Writable) {}

  get waitingBytes(): number {
    return this.response.writableLength;
  }

  /** What HTTP adds to a write waits too, so this is too little rather than too much. */
  get takenBytes(): number {
    return this.writtenBytes - this.response.writableLength;
  }

  write(bytes: Buffer): boolean {
    this.writtenBytes += bytes.length;
    return this.response.write(bytes);
  }

  onDrain(listener: () => void): void {
    this.response.on('drain', listener);
  }

  offDrain(listener: () => void): void {
    this.response.off('drain', listener);
  }
}
