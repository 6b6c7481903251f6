import { type Clock, type Timer, sleepOn } from '../../src/runtime/clock.js';
import { FakeClock } from './fake-clock.js';

/** The clocks of one process among several: they run at a rate of their own, and the process can stand still. */
export class ProcessClock implements Clock {
  private readonly base = new FakeClock();
  private stalledMs = 0;
  private sleptMs = 0;

  constructor(private readonly rate = 1) {}

  now(): number {
    return this.base.now() + this.stalledMs + this.sleptMs;
  }

  monotonic(): number {
    return this.base.monotonic() + this.stalledMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.base.after(delayMs, callback);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  get pendingTimers(): number {
    return this.base.pendingTimers;
  }

  advance(ms: number): Promise<void> {
    return this.base.advance(ms * this.rate);
  }

  /** Time goes by and no timer fires: a paused process, a long garbage collection. */
  stall(ms: number): void {
    this.stalledMs += ms * this.rate;
  }

  /** The machine sleeps: its monotonic clock stands still, its wall clock does not. Or the wall clock is set. */
  jump(ms: number): void {
    this.sleptMs += ms;
  }
}
