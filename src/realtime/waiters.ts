/** Those who wait for the same thing. */
export class Waiters {
  private resolves: (() => void)[] = [];

  /** Resolves at the next `release`. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.resolves.push(resolve));
  }

  release(): void {
    const { resolves } = this;
    this.resolves = [];
    for (const resolve of resolves) resolve();
  }
}
