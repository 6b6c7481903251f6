import type { HeldLease } from './held-lease.js';

/** What a sweep is held to: it ends at the signal, and acts only while its process leads. */
export interface SweepGuard {
  readonly signal: AbortSignal;
  readonly lease: Pick<HeldLease, 'assertHeld'>;
}

/** To be called before every command. @throws the signal's reason, LeaseLost. */
export function mayGoOn({ signal, lease }: SweepGuard): void {
  signal.throwIfAborted();
  lease.assertHeld();
}
