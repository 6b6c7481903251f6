import type { HeldLease } from '../leader-election/index.js';

/** What one round has done. */
export interface ReconcileResult {
  /** Items looked at. */
  readonly processed: number;
  /** Items that had to be changed; 0 says that all was as it should be. */
  readonly changed: number;
  /** Further figures, shown at `GET /controllers` to principals of all tenants. Never a secret. */
  readonly detail?: Readonly<Record<string, number | string>>;
}

/**
 * Brings one aspect of the stored state to what it should be, again and again. Thin: it calls one sweep of the room
 * that owns the data. `ControllerManager` runs it on one replica at a time, never overlapping itself.
 */
export interface Reconciler {
  /** kebab-case, unique: `job-recovery`. Also the duty of its lease, as `controller/<name>`. */
  readonly name: string;
  /** Milliseconds between the end of a round and the start of the next over all replicas, ±10 % by chance. */
  readonly periodMs: number;
  /** Milliseconds until `signal` aborts; the period if absent, but at most 60 s. */
  readonly timeoutMs?: number;
  /** Whether a replica that wins the lease for the first time runs a round at once, whenever the last one was. */
  readonly reconcileOnStart?: boolean;
  /**
   * One round. Idempotent; every write is conditional on what was read, so that a late one changes nothing, and
   * `lease.assertHeld()` comes before every command. Ends soon after `signal` aborts (timeout, lost lease, shutdown).
   * A rejection is a failed round: it is told, counted and tried again, sooner than a period later.
   */
  reconcile(signal: AbortSignal, lease: HeldLease): Promise<ReconcileResult>;
  /** Another process leads from now on: figures of this one's last round are no longer true. */
  resigned?(): void;
}
