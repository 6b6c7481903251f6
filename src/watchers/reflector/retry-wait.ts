import type { Clock } from '../../runtime/clock.js';
import type { ClusterRecovery } from './cluster-recovery.js';

export interface WaitOptions {
  readonly delayMs: number;
  /** Called when the cluster answers again, which ends the wait; absent where that says nothing. */
  readonly onBack?: (() => void) | undefined;
  readonly signal: AbortSignal;
}

/** The time before a retry. */
export class RetryWait {
  private wake: (() => void) | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly recovery: Pick<ClusterRecovery, 'join'>,
  ) {}

  /** Resolves when the time is over; earlier when it is stopped, ended, or the cluster answers again. */
  async wait({ delayMs, onBack, signal }: WaitOptions): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        timer.cancel();
        leave?.();
        signal.removeEventListener('abort', end);
        this.wake = undefined;
        resolve();
      };
      const timer = this.clock.after(delayMs, end);
      const leave = onBack
        ? this.recovery.join(() => {
            onBack();
            end();
          })
        : undefined;
      signal.addEventListener('abort', end, { once: true });
      this.wake = end;
    });
  }

  /** Ends the wait, if there is one. */
  end(): void {
    this.wake?.();
  }
}
