import type { HeldLease } from '../leader-election/index.js';

/** What sealing and retention are held to: they end at the signal, and act only while their process leads. */
export interface SweepGuard {
  readonly signal: AbortSignal;
  readonly lease: Pick<HeldLease, 'assertHeld'>;
}

/** To be called before every command. @throws the signal's reason, LeaseLost. */
export function mayGoOn({ signal, lease }: SweepGuard): void {
  signal.throwIfAborted();
  lease.assertHeld();
}
