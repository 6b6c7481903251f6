/** Messages of ours in the order in which they are pushed, read once. */
export class OutgoingMessages<T> implements AsyncIterable<T> {
  private readonly waiting: T[] = [];
  private isClosed = false;
  private wake: () => void = () => undefined;

  push(message: T): void {
    this.waiting.push(message);
    this.wake();
  }

  /** Ends the iteration once what waits is read. */
  close(): void {
    this.isClosed = true;
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) yield next;
      if (this.isClosed) return;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}
