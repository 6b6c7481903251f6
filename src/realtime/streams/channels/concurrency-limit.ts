/** Runs at most so many pieces of work at once; the rest waits in order. Its bound is what the callers have in flight. */
export class ConcurrencyLimit {
  private readonly waiting: (() => void)[] = [];
  private running = 0;

  constructor(private readonly max: number) {}

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= this.max) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.running += 1;
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      // Its place is handed on, so that nobody who comes meanwhile takes it.
      if (next) next();
      else this.running -= 1;
    }
  }
}
