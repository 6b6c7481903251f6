import type { Clock } from '../../runtime/clock.js';
import { StopReason } from '../../runtime/stop-reason.js';

export interface ClusterRecoveryOptions {
  readonly clock: Clock;
  /** Milliseconds between the end of a probe and the next. */
  readonly probePeriodMs: number;
  /** Cheap call that rejects while the API server does not answer. */
  readonly probe: (signal: AbortSignal) => Promise<void>;
}

/**
 * While watches of a cluster cannot connect, one probe stands for all of them: the first that succeeds wakes every
 * waiting watch. Nothing runs while nobody waits.
 */
export class ClusterRecovery {
  private readonly waiting = new Set<() => void>();
  private probing: { readonly abort: AbortController; readonly loop: Promise<void> } | undefined;

  constructor(private readonly options: ClusterRecoveryOptions) {}

  /** Calls `wake` once, when the cluster answers again; the returned function gives up waiting. */
  join(wake: () => void): () => void {
    this.waiting.add(wake);
    if (!this.probing) {
      const abort = new AbortController();
      this.probing = { abort, loop: this.run(abort.signal) };
    }
    return () => {
      this.waiting.delete(wake);
      if (this.waiting.size === 0) this.cancel();
    };
  }

  /** Wakes nobody any more; resolves when no probe is under way. */
  async stop(): Promise<void> {
    this.waiting.clear();
    const loop = this.probing?.loop;
    this.cancel();
    await loop;
  }

  private cancel(): void {
    this.probing?.abort.abort(new StopReason('cluster probe'));
    this.probing = undefined;
  }

  private async run(signal: AbortSignal): Promise<void> {
    const { clock, probePeriodMs, probe } = this.options;
    for (;;) {
      try {
        await clock.sleep(probePeriodMs, signal);
        await probe(signal);
      } catch {
        // The next probe tells; why a watch failed is told by the watch itself.
        if (signal.aborted) return;
        continue;
      }
      if (signal.aborted) return;
      const woken = [...this.waiting];
      this.waiting.clear();
      this.probing = undefined;
      for (const wake of woken) wake();
      return;
    }
  }
}
