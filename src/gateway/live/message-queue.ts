/** Messages on their way from one writer to one reader, at the pace of the reader. */
export class MessageQueue<T> implements AsyncIterableIterator<T, undefined> {
  private readonly messages: T[] = [];
  private outcome: { readonly error?: unknown } | undefined;
  private wakeReader: () => void = () => undefined;
  private wakeWriters: (() => void)[] = [];

  constructor(
    private readonly size: number,
    private readonly onOver: () => void,
  ) {}

  get isOver(): boolean {
    return this.outcome !== undefined;
  }

  /** Resolves when there is room for more, or nobody reads any more. */
  async put(message: T): Promise<void> {
    while (!this.outcome && this.messages.length >= this.size) {
      await new Promise<void>((resolve) => this.wakeWriters.push(resolve));
    }
    if (this.outcome) return;
    this.messages.push(message);
    this.wakeReader();
  }

  /** What was put before is still read. */
  end(outcome: { readonly error?: unknown } = {}): void {
    if (this.outcome) return;
    this.outcome = outcome;
    this.onOver();
    this.wakeReader();
    this.makeRoom();
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      if (this.messages.length > 0) {
        const value = this.messages.shift() as T;
        this.makeRoom();
        return { done: false, value };
      }
      if (this.outcome) {
        const { error } = this.outcome;
        this.outcome = {};
        if (error !== undefined) throw error as Error;
        return { done: true, value: undefined };
      }
      await new Promise<void>((resolve) => (this.wakeReader = resolve));
    }
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.messages.length = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private makeRoom(): void {
    const writers = this.wakeWriters;
    this.wakeWriters = [];
    for (const wake of writers) wake();
  }
}
