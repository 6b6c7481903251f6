import { CallFailure } from './call-failure.js';
import { ReusedBlocks } from './reused-blocks.js';

/** Bytes of an answer that is an error: its message is cut anyway. */
const MAX_ERROR_BYTES = 64 * 1024;
/** More than that is copied as it comes: what a subsystem pours out must not become garbage that lives. */
const KEPT_AS_IT_CAME = 256 * 1024;
const NOTHING = new Uint8Array(0);

/**
 * An answer's body up to its limit: of one that announces more nothing is read, and what is beyond is not kept. To be
 * dropped when it is over.
 */
export class BodyCollector {
  private first: Uint8Array | undefined;
  private more: Uint8Array[] | undefined;
  private blocks: ReusedBlocks | undefined;
  private length = 0;
  private maxBytes: number;
  private isDropped = false;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** @returns what is wrong with it already. */
  begin(status: number, contentLength: string | undefined): CallFailure | undefined {
    if (status !== 200) this.maxBytes = Math.min(this.maxBytes, MAX_ERROR_BYTES);
    return Number(contentLength ?? 0) > this.maxBytes ? this.oversized() : undefined;
  }

  add(chunk: Uint8Array): CallFailure | undefined {
    if (this.isDropped) return undefined;
    this.length += chunk.length;
    if (this.length > this.maxBytes) return this.oversized();
    if (this.length > KEPT_AS_IT_CAME) (this.blocks ??= this.intoBlocks()).append(chunk);
    else if (!this.first) this.first = chunk;
    else (this.more ??= [this.first]).push(chunk);
    return undefined;
  }

  /** Once. */
  takeBody(): Uint8Array {
    if (!this.blocks) return this.more ? Buffer.concat(this.more, this.length) : (this.first ?? NOTHING);
    const body = this.blocks.copy();
    this.drop();
    return body;
  }

  /** Nobody wants it any more. Idempotent. */
  drop(): void {
    this.isDropped = true;
    this.blocks?.giveBack();
    this.first = this.more = this.blocks = undefined;
  }

  private intoBlocks(): ReusedBlocks {
    const blocks = new ReusedBlocks();
    for (const chunk of this.more ?? (this.first ? [this.first] : [])) blocks.append(chunk);
    this.first = this.more = undefined;
    return blocks;
  }

  private oversized(): CallFailure {
    return new CallFailure('oversized', `its answer has more than ${this.maxBytes} bytes`);
  }
}
