const BLOCK_BYTES = 64 * 1024;
/** Blocks that are kept for the next one. */
const MAX_FREE = 128;

const free: Buffer[] = [];

/**
 * Bytes that are put together for a while, in memory that is used again and again. Garbage of this size outlives the
 * collections of young objects, and it takes one of the whole heap to get rid of it, during which everybody waits.
 */
export class ReusedBlocks {
  private readonly blocks: Buffer[] = [];
  private length = 0;

  append(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const at = this.length % BLOCK_BYTES;
      if (at === 0) this.blocks.push(free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES));
      const part = bytes.subarray(from, from + BLOCK_BYTES - at);
      this.blocks.at(-1)?.set(part, at);
      from += part.length;
      this.length += part.length;
    }
  }

  /** All of them, in memory of their own. */
  copy(): Buffer {
    return Buffer.concat(this.blocks, this.length);
  }

  /** Idempotent; what is in them is lost. */
  giveBack(): void {
    for (const block of this.blocks.splice(0)) if (free.length < MAX_FREE) free.push(block);
    this.length = 0;
  }
}
