import type { LeaseStore, StoredLease } from '../../src/leader-election/index.js';
import type { Clock } from '../../src/runtime/clock.js';

interface Lease {
  readonly holder: string;
  readonly epoch: number;
  readonly heldSince: number;
  readonly expiresAt: number;
  readonly ttlMs: number;
}

/** Leases in memory, by a clock of its own; answers can be held back and made to fail. */
export class FakeLeaseStore implements LeaseStore {
  private readonly leases = new Map<string, Lease>();
  private gates: Promise<void>[] = [];
  /** Set: every call fails with it, before it has an effect. */
  failure: Error | undefined;
  acquisitions = 0;

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  /** Holds the answer of the next call back, after its effect. Returns what lets it go. */
  holdNextAnswer(): () => void {
    const gate = Promise.withResolvers<void>();
    this.gates.push(gate.promise);
    return gate.resolve;
  }

  async acquire(duty: string, holder: string, ttlMs: number): Promise<StoredLease | null> {
    this.acquisitions += 1;
    if (this.failure) throw this.failure;
    const now = this.clock.now();
    const before = this.leases.get(duty);
    const isFree = before === undefined || before.expiresAt <= now;
    if (before?.holder === holder) this.leases.set(duty, { ...before, expiresAt: now + ttlMs, ttlMs });
    else if (isFree) {
      this.leases.set(duty, { holder, epoch: (before?.epoch ?? 0) + 1, heldSince: now, expiresAt: now + ttlMs, ttlMs });
    } else this.leases.set(duty, { ...before, expiresAt: Math.min(before.expiresAt, now + before.ttlMs) });
    const lease = this.leases.get(duty);
    await this.gates.shift();
    return lease?.holder === holder ? stored(duty, lease) : null;
  }

  async resign(duty: string, holder: string, epoch: number): Promise<void> {
    if (this.failure) throw this.failure;
    const lease = this.leases.get(duty);
    if (lease?.holder === holder && lease.epoch === epoch) {
      this.leases.set(duty, { ...lease, expiresAt: this.clock.now() });
    }
  }

  async list(): Promise<StoredLease[]> {
    return [...this.leases].map(([duty, lease]) => stored(duty, lease)).toSorted((a, b) => (a.duty < b.duty ? -1 : 1));
  }
}

function stored(duty: string, { holder, epoch, heldSince, expiresAt }: Lease): StoredLease {
  return { duty, holder, epoch, heldSince: new Date(heldSince), expiresAt: new Date(expiresAt) };
}
