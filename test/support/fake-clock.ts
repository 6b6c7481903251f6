import { type Clock, type Timer, sleepOn } from '../../src/runtime/clock.js';

interface Pending {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that stands still until `advance` moves it. */
export class FakeClock implements Clock {
  private elapsedMs = 0;
  private jumpedMs = 0;
  private order = 0;
  private readonly pending = new Set<Pending>();

  constructor(private readonly epochMs = Date.UTC(2026, 0, 1)) {}

  now(): number {
    return this.epochMs + this.elapsedMs + this.jumpedMs;
  }

  /** Sets the wall time forward, or back; no time passes. */
  jump(ms: number): void {
    this.jumpedMs += ms;
  }

  monotonic(): number {
    return this.elapsedMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry = { at: this.elapsedMs + Math.max(0, delayMs), order: this.order++, callback };
    this.pending.add(entry);
    return { cancel: () => void this.pending.delete(entry) };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** Timers that have not fired: 0 after everything was stopped. */
  get pendingTimers(): number {
    return this.pending.size;
  }

  /** Milliseconds until the next timer fires, `undefined` without one: a test waits on it for work that comes over a socket. */
  get nextTimerInMs(): number | undefined {
    const next = Math.min(...[...this.pending].map((entry) => entry.at));
    return this.pending.size > 0 ? next - this.elapsedMs : undefined;
  }

  /** Moves time forward, firing timers in their order and letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const target = this.elapsedMs + ms;
    await settle();
    for (;;) {
      const next = [...this.pending]
        .filter((entry) => entry.at <= target)
        .toSorted((a, b) => a.at - b.at || a.order - b.order)[0];
      if (!next) break;
      this.pending.delete(next);
      this.elapsedMs = Math.max(this.elapsedMs, next.at);
      next.callback();
      await settle();
    }
    this.elapsedMs = target;
  }
}

/** Lets everything that is ready to run, run: promises, microtasks and immediates. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
