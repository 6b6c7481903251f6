import type { Random } from '../../runtime/random.js';
import type { ClaimMarks } from '../job-changes.js';
import type { ClaimedJob } from '../job.js';
import type { JobAnnouncer } from '../streams/job-announcer.js';
import type { ClaimWaiter } from './claim-waiter.js';
import type { ClaimedJobDocument, Grant, JobClaimsRepository } from './job-claims.repository.js';
import { type LeaseToken, newLeaseToken } from './lease-token.js';
import type { Shares } from './share-out.js';

export interface ClaimGrantsOptions {
  readonly claims: JobClaimsRepository;
  readonly announcer: JobAnnouncer;
  readonly random: Random;
}

/** By claim key. */
type Tokens = Map<string, { readonly waiter: ClaimWaiter; readonly token: LeaseToken }>;

/** Gives jobs to claims in the database, then tells them what they have got. */
export class ClaimGrants {
  constructor(private readonly options: ClaimGrantsOptions) {}

  /** A claim id that was seen before: its answer was lost, and is given again with new tokens. */
  async repeat(waiters: readonly ClaimWaiter[]): Promise<void> {
    if (waiters.length === 0) return;
    const repeated = await this.options.claims.repeated(waiters.map(({ claimKey }) => claimKey));
    for (const waiter of waiters) {
      waiter.isFirst = true;
      if (!repeated.has(waiter.claimKey)) continue;
      const { marks, token } = this.marksOf(waiter);
      await this.options.claims.reissue(marks);
      const jobs = await this.options.claims.ofClaims([waiter.claimKey]);
      if (jobs.length > 0) waiter.settle(jobs.map((job) => claimedJob(job, token)));
    }
  }

  /** The first job of the lanes, in one command; of at most `MAX_MERGED_LANES` lanes. */
  async giveFirst(lanes: readonly string[], waiter: ClaimWaiter): Promise<void> {
    const { marks, token } = this.marksOf(waiter);
    const job = await this.options.claims.grantFirst(lanes, marks);
    if (job === null) return;
    this.options.announcer.changed([job]);
    waiter.settle([claimedJob(job, token)]);
  }

  /** Gives them what is still queued. `told` resolves when they have been told; `isWhole`: each has got all of its share. */
  async give(shares: Shares): Promise<{ readonly isWhole: boolean; readonly told: Promise<void> }> {
    const grants: Grant[] = [];
    const tokens: Tokens = new Map();
    for (const [waiter, ids] of shares) {
      const { marks, token } = this.marksOf(waiter);
      grants.push({ marks, ids });
      tokens.set(waiter.claimKey, { waiter, token });
    }
    const granted = await this.options.claims.grant(grants);
    const all = grants.reduce((sum, { ids }) => sum + ids.length, 0);
    return { isWhole: granted === all, told: this.tell(tokens) };
  }

  private async tell(tokens: Tokens): Promise<void> {
    const won = await this.options.claims.ofClaims([...tokens.keys()]);
    this.options.announcer.changed(won);
    for (const [claimKey, jobs] of Map.groupBy(won, ({ lease }) => lease?.claimKey ?? '')) {
      const granted = tokens.get(claimKey);
      granted?.waiter.settle(jobs.map((job) => claimedJob(job, granted.token)));
    }
  }

  private marksOf({ agentId, claimKey }: ClaimWaiter): { marks: ClaimMarks; token: LeaseToken } {
    const token = newLeaseToken(this.options.random);
    return { marks: { agentId, claimKey, hash: token.hash }, token };
  }
}

function claimedJob(document: ClaimedJobDocument, { token }: LeaseToken): ClaimedJob {
  const { _id, tenantId, type, payload, attempts, timeoutMs, lease } = document;
  const expiresInMs = lease ? lease.expiresAt.getTime() - lease.renewedAt.getTime() : 0;
  return {
    id: _id.toHexString(),
    tenantId,
    type,
    payload: JSON.parse(payload) as unknown,
    attempt: attempts,
    timeoutMs,
    lease: { token, expiresInMs },
  };
}
