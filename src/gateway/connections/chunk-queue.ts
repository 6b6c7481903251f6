/** Bytes that wait for a slow reader before the peer is held back. */
const MAX_WAITING = 256 * 1024;

interface Source {
  pause(): void;
  resume(): void;
  /** The reader has gone. */
  abandon(): void;
}

/** What a peer sends, at the pace of its reader. */
export class ChunkQueue implements AsyncIterable<Uint8Array> {
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private isPaused = false;
  private outcome: { readonly error?: Error } | undefined;
  private wake: (() => void) | undefined;

  constructor(private readonly source: Source) {}

  push(chunk: Uint8Array): void {
    this.waiting.push(chunk);
    this.waitingBytes += chunk.length;
    if (this.waitingBytes > MAX_WAITING && !this.isPaused) {
      this.isPaused = true;
      this.source.pause();
    }
    this.wake?.();
  }

  /** The first one counts. What came before is still read. */
  end(error?: Error): void {
    this.outcome ??= error ? { error } : {};
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunks = this.take();
        yield* chunks;
        if (this.waiting.length > 0) continue;
        if (this.outcome?.error) throw this.outcome.error;
        if (this.outcome) return;
        await new Promise<void>((resolve) => (this.wake = resolve));
        this.wake = undefined;
      }
    } finally {
      if (!this.outcome) this.source.abandon();
    }
  }

  private take(): Uint8Array[] {
    const taken = this.waiting;
    this.waiting = [];
    this.waitingBytes = 0;
    if (this.isPaused) {
      this.isPaused = false;
      this.source.resume();
    }
    return taken;
  }
}
