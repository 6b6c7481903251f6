/**
 * A duty that this process holds right now. Valid from the grant until `signal` aborts; a later grant of the same duty
 * is another object.
 */
export interface HeldLease {
  readonly duty: string;
  /** Grows by one whenever another process takes the duty over. */
  readonly epoch: number;
  /** Aborts, with a LeaseLost, as soon as the lease cannot be relied on any more. */
  readonly signal: AbortSignal;
  /** Milliseconds for which it can be relied on without another renewal; 0 once lost. A bound for `maxTimeMS`. */
  readonly remainingMs: number;
  /** To be called before every command. @throws LeaseLost */
  assertHeld(): void;
}

/** The lease is another's, may be another's, or was given back. What is done in its name ends. */
export class LeaseLost extends Error {
  constructor(
    readonly duty: string,
    readonly why: string,
  ) {
    super(`the lease of ${duty} is lost: ${why}`);
    this.name = 'LeaseLost';
  }
}
