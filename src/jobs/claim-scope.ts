import { Logger } from '@nestjs/common';
import type { Types } from 'mongoose';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import type { ClaimWaiter } from './claim-waiter.js';
import type { JobAnnouncer } from './job-announcer.js';
import type { ClaimMarks } from './job-changes.js';
import {
  type ClaimedJobDocument,
  type Grant,
  type JobClaimsRepository,
  MAX_MERGED_LANES,
} from './job-claims.repository.js';
import type { ClaimedJob } from './job.js';
import { type LeaseToken, newLeaseToken } from './lease-token.js';

/** Jobs that one look grants to all claims together. */
const MAX_GRANTED = 1_000;
/** Looks again, when another replica was faster, before it waits for the next hint. */
const MAX_TRIES = 3;

export interface ClaimScopeOptions {
  /** What the lanes begin with: the pool, and the tenant of the pool of tenants. */
  readonly prefix: string;
  /** How long the lanes are believed to be all there are. */
  readonly lanesKeptMs: number;
  readonly claims: JobClaimsRepository;
  readonly announcer: JobAnnouncer;
  readonly clock: Clock;
  readonly random: Random;
}

type Grants = ReadonlyMap<ClaimWaiter, Types.ObjectId[]>;

/**
 * The claims of agents that share a pool and tenant. One look at a time serves all of them: what comes in meanwhile is
 * served together by the next one, so that under load a few commands grant the jobs of many claims.
 */
export class ClaimScope {
  private readonly log = new Logger('JobDispatcher');
  private readonly waiters = new Set<ClaimWaiter>();
  private readonly lanes = new Set<string>();
  private lanesReadAt = Number.NEGATIVE_INFINITY;
  private loop: Promise<void> | undefined;
  private isWanted = false;
  /** On the monotonic clock. */
  usedAt: number;

  constructor(private readonly options: ClaimScopeOptions) {
    this.usedAt = options.clock.monotonic();
  }

  get isIdle(): boolean {
    return this.waiters.size === 0 && this.loop === undefined;
  }

  add(waiter: ClaimWaiter): void {
    this.waiters.add(waiter);
    this.usedAt = this.options.clock.monotonic();
    this.look();
  }

  remove(waiter: ClaimWaiter): void {
    this.waiters.delete(waiter);
  }

  /** There are jobs in the lane. */
  learn(lane: string): void {
    this.lanes.add(lane);
    if (this.waiters.size > 0) this.look();
  }

  /** Looks for jobs; again, if it is looking. */
  look(): void {
    this.isWanted = true;
    this.loop ??= this.run().finally(() => {
      this.loop = undefined;
    });
  }

  /** Answers every claim and resolves when none is in progress. */
  async stop(): Promise<void> {
    for (const waiter of this.waiters) waiter.end();
    await this.loop;
  }

  private async run(): Promise<void> {
    while (this.isWanted) {
      this.isWanted = false;
      const waiters = [...this.waiters];
      for (const waiter of waiters) waiter.begin();
      try {
        await this.serve(waiters);
      } catch (error) {
        this.log.warn({ message: 'jobs could not be claimed', claims: waiters.length, error });
        for (const waiter of waiters) waiter.reject(error);
      }
      for (const waiter of waiters) if (waiter.isOpen) waiter.rest();
    }
  }

  private async serve(waiters: readonly ClaimWaiter[]): Promise<void> {
    await Promise.all([this.readLanes(), this.answerRepeated(waiters.filter(({ isFirst }) => !isFirst))]);
    // Those that serve the same lanes are one group, whatever their labels.
    const groups = Map.groupBy(
      waiters.filter(({ isOpen }) => isOpen),
      (waiter) => [...this.lanes].filter((lane) => waiter.serves(lane)).join('\n'),
    );
    for (const [lanes, group] of groups) if (lanes !== '') await this.serveGroup(lanes.split('\n'), group);
  }

  private async readLanes(): Promise<void> {
    const { clock, claims, prefix, lanesKeptMs } = this.options;
    const now = clock.monotonic();
    if (now - this.lanesReadAt < lanesKeptMs) return;
    const found = await claims.lanes(prefix);
    this.lanes.clear();
    for (const lane of found) this.lanes.add(lane);
    this.lanesReadAt = now;
  }

  /** A claim id that was seen before: its answer was lost, and is given again with new tokens. */
  private async answerRepeated(waiters: readonly ClaimWaiter[]): Promise<void> {
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

  private async serveGroup(lanes: readonly string[], group: readonly ClaimWaiter[]): Promise<void> {
    const [only] = group;
    if (only && group.length === 1 && only.capacity === 1 && lanes.length <= MAX_MERGED_LANES) {
      return this.serveOne(lanes, only);
    }
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const open = group.filter(({ isOpen }) => isOpen);
      const wanted = open.reduce((sum, { capacity }) => sum + capacity, 0);
      if (wanted === 0) return;
      const ids = await this.options.claims.candidates(lanes, Math.min(wanted, MAX_GRANTED));
      if (ids.length === 0) return;
      await this.grant(shareOut(ids, open));
    }
  }

  private async serveOne(lanes: readonly string[], waiter: ClaimWaiter): Promise<void> {
    const { marks, token } = this.marksOf(waiter);
    const job = await this.options.claims.grantFirst(lanes, marks);
    if (job === null) return;
    this.options.announcer.changed([job]);
    waiter.settle([claimedJob(job, token)]);
  }

  private async grant(shares: Grants): Promise<void> {
    const grants: Grant[] = [];
    const tokens = new Map<string, { readonly waiter: ClaimWaiter; readonly token: LeaseToken }>();
    for (const [waiter, ids] of shares) {
      const { marks, token } = this.marksOf(waiter);
      grants.push({ marks, ids });
      tokens.set(waiter.claimKey, { waiter, token });
    }
    await this.options.claims.grant(grants);
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

/** One by one in turn, so that the first jobs do not all go to one agent. */
function shareOut(ids: readonly Types.ObjectId[], waiters: readonly ClaimWaiter[]): Grants {
  const shares = new Map<ClaimWaiter, Types.ObjectId[]>();
  let open = [...waiters];
  let next = 0;
  for (const id of ids) {
    const waiter = open[next % open.length];
    if (!waiter) break;
    const share = shares.get(waiter) ?? [];
    share.push(id);
    shares.set(waiter, share);
    if (share.length < waiter.capacity) next += 1;
    else open = open.filter((each) => each !== waiter);
  }
  return shares;
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
