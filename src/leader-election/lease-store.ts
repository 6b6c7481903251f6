/** A duty as it is stored. */
export interface StoredLease {
  readonly duty: string;
  /** Random name of the process that has it, or had it last. */
  readonly holder: string;
  readonly epoch: number;
  /** By the store's clock. */
  readonly heldSince: Date;
  readonly expiresAt: Date;
}

/** Port: where leases are kept. Time is the store's own; nobody else's clock decides who gets a lease. */
export interface LeaseStore {
  /**
   * Gives `holder` the lease for `ttlMs` from the store's now, if it has it or nobody does; null if another has it.
   * The epoch grows by one when the lease goes to another holder than the last. One that would last longer than it was
   * given for, since the store's time was set back, is cut to that by whoever asks.
   */
  acquire(duty: string, holder: string, ttlMs: number): Promise<StoredLease | null>;
  /** Ends the lease now, unless it is another's by now, or of another epoch. */
  resign(duty: string, holder: string, epoch: number): Promise<void>;
  /** Every lease that was ever given, also those that ran out. */
  list(): Promise<StoredLease[]>;
}

/** Injection token. */
export const LEASE_STORE = Symbol('lease store');
