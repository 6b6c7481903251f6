/** Lets a few lists of one cluster run at a time: the rest waits in order. */
export class ListGate {
  private running = 0;
  private readonly queue: Array<() => void> = [];

  constructor(private readonly size: number) {}

  /** Runs `work` when its turn comes; an abort while waiting rejects with the signal's reason. */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.enter(signal);
    try {
      return await work();
    } finally {
      this.running -= 1;
      this.queue.shift()?.();
    }
  }

  private enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.running < this.size) {
      this.running += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const proceed = (): void => {
        signal.removeEventListener('abort', onAbort);
        this.running += 1;
        resolve();
      };
      const onAbort = (): void => {
        this.queue.splice(this.queue.indexOf(proceed), 1);
        reject(signal.reason as Error);
      };
      this.queue.push(proceed);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
