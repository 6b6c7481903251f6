import type { Clock } from '../../runtime/clock.js';
import type { ClaimWaiter } from './claim-waiter.js';
import type { JobClaimsRepository } from './job-claims.repository.js';

export interface KnownLanesOptions {
  /** What the lanes begin with: the pool, and the tenant of the pool of tenants. */
  readonly prefix: string;
  /** How long the lanes are believed to be all there are. */
  readonly lanesKeptMs: number;
  readonly claims: Pick<JobClaimsRepository, 'lanes'>;
  readonly clock: Clock;
}

/** The lanes that have queued jobs, as far as is known. */
export class KnownLanes {
  private readonly lanes = new Set<string>();
  private readAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: KnownLanesOptions) {}

  /** There are jobs in the lane. */
  learn(lane: string): void {
    this.lanes.add(lane);
  }

  servedBy(waiter: ClaimWaiter): string[] {
    return [...this.lanes].filter((lane) => waiter.serves(lane));
  }

  /** Reads them anew when they are too old to be believed. */
  async refresh(): Promise<void> {
    const { clock, claims, prefix, lanesKeptMs } = this.options;
    const now = clock.monotonic();
    if (now - this.readAt < lanesKeptMs) return;
    const found = await claims.lanes(prefix);
    this.lanes.clear();
    for (const lane of found) this.lanes.add(lane);
    this.readAt = now;
  }
}
