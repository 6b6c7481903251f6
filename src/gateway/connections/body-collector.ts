import { CallFailure } from './call-failure.js';

/** Bytes of an answer that is an error: its message is cut anyway. */
const MAX_ERROR_BYTES = 64 * 1024;
const NOTHING = new Uint8Array(0);

/**
 * An answer's body up to its limit: of one that announces more nothing is read, and what is beyond is not kept. Chunks are
 * joined once, at the end: a buffer that grows with them took twice the time. Most of what an answer of MiBs costs is
 * garbage of Node's own reads, whether its chunks are kept or not.
 */
export class BodyCollector {
  private first: Uint8Array | undefined;
  private more: Uint8Array[] | undefined;
  private length = 0;
  private maxBytes: number;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** @returns what is wrong with it already. */
  begin(status: number, contentLength: string | undefined): CallFailure | undefined {
    if (status !== 200) this.maxBytes = Math.min(this.maxBytes, MAX_ERROR_BYTES);
    return Number(contentLength ?? 0) > this.maxBytes ? this.oversized() : undefined;
  }

  add(chunk: Uint8Array): CallFailure | undefined {
    this.length += chunk.length;
    if (this.length > this.maxBytes) return this.oversized();
    if (!this.first) this.first = chunk;
    else (this.more ??= [this.first]).push(chunk);
    return undefined;
  }

  get body(): Uint8Array {
    return this.more ? Buffer.concat(this.more, this.length) : (this.first ?? NOTHING);
  }

  private oversized(): CallFailure {
    return new CallFailure('oversized', `its answer has more than ${this.maxBytes} bytes`);
  }
}
