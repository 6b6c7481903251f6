/** One value to many readers, each with a queue of its own; for tests, so without a bound. */
export class Broadcast<T> {
  private readonly readers = new Set<Reader<T>>();

  get size(): number {
    return this.readers.size;
  }

  push(value: T): void {
    for (const reader of this.readers) reader.push(value);
  }

  /** Ends every reader: cleanly, or with an error. */
  end(error?: Error): void {
    for (const reader of this.readers) reader.end(error);
  }

  /** Reads all that is pushed from the call on, `first` before it, until the signal aborts or `end`. */
  open(signal: AbortSignal, first: readonly T[] = []): AsyncIterable<T> {
    const reader = new Reader<T>([...first]);
    this.readers.add(reader);
    const leave = (): void => {
      reader.end();
      this.readers.delete(reader);
    };
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    return this.drain(reader, () => signal.removeEventListener('abort', leave));
  }

  private async *drain(reader: Reader<T>, left: () => void): AsyncIterable<T> {
    try {
      yield* reader;
    } finally {
      this.readers.delete(reader);
      left();
    }
  }
}

class Reader<T> {
  private ended = false;
  private error: Error | undefined;
  private wake: () => void = () => undefined;

  constructor(private readonly queue: T[]) {}

  push(value: T): void {
    this.queue.push(value);
    this.wake();
  }

  end(error?: Error): void {
    this.ended = true;
    this.error = error;
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) yield next;
      if (this.error) throw this.error;
      if (this.ended) return;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}
