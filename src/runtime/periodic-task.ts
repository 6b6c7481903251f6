import type { Clock } from './clock.js';
import type { Runnable } from './runnable.js';
import { StopReason, isStop } from './stop-reason.js';

export interface PeriodicTaskOptions {
  readonly name: string;
  /** Milliseconds between the end of one round and the start of the next. */
  readonly periodMs: number;
  /** Milliseconds before the first round; the period if absent. */
  readonly firstDelayMs?: number;
  readonly runOnce: (signal: AbortSignal) => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly clock: Clock;
}

/** Repeats `runOnce`, never overlapping itself; a failed round is reported and the next one comes all the same. */
export class PeriodicTask implements Runnable {
  private abort: AbortController | undefined;
  private loop: Promise<void> | undefined;

  constructor(private readonly options: PeriodicTaskOptions) {}

  get name(): string {
    return this.options.name;
  }

  start(): Promise<void> {
    if (!this.loop) {
      this.abort = new AbortController();
      this.loop = this.run(this.abort.signal);
    }
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.abort?.abort(new StopReason(this.name));
    await this.loop;
    this.loop = undefined;
  }

  private async run(signal: AbortSignal): Promise<void> {
    const { clock, periodMs, firstDelayMs = periodMs, runOnce, onError } = this.options;
    for (let delayMs = firstDelayMs; ; delayMs = periodMs) {
      try {
        await clock.sleep(delayMs, signal);
        await runOnce(signal);
      } catch (error) {
        if (!isStop(error)) onError(error);
      }
      if (signal.aborted) return;
    }
  }
}
