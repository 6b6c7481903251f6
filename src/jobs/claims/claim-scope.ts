import { Logger } from '@nestjs/common';
import type { Types } from 'mongoose';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import type { ClaimWaiter } from './claim-waiter.js';
import type { JobAnnouncer } from '../streams/job-announcer.js';
import type { ClaimMarks } from '../job-changes.js';
import {
  type ClaimedJobDocument,
  type Grant,
  type JobClaimsRepository,
  MAX_MERGED_LANES,
} from './job-claims.repository.js';
import type { ClaimedJob } from '../job.js';
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
/** By claim key. */
type Tokens = Map<string, { readonly waiter: ClaimWaiter; readonly token: LeaseToken }>;

interface Group {
  readonly lanes: readonly string[];
  readonly group: readonly ClaimWaiter[];
  /** Resolves when it is known which of them are repeated. */
  readonly repeated: Promise<void>;
}

/**
 * The claims of agents that share a pool and tenant. One look at a time serves all of them: what comes in meanwhile is
 * served together by the next one, so that under load a few commands grant the jobs of many claims. The next look
 * begins when jobs are given away in the database; reading them and telling the agents goes on beside it. Jobs are given
 * away by one command at a time: several that want the first jobs of the same lanes would lock each other out.
 */
export class ClaimScope {
  private readonly log = new Logger('JobDispatcher');
  private readonly waiters = new Set<ClaimWaiter>();
  private readonly lanes = new Set<string>();
  private lanesReadAt = Number.NEGATIVE_INFINITY;
  private loop: Promise<void> | undefined;
  private isWanted = false;
  /** Claim keys of looks in progress: a claim that is repeated meanwhile has to find what the first one got. */
  private readonly served = new Set<string>();
  /** Of those, the ones whose answers are on their way beside the looks. */
  private readonly beside = new Set<ClaimWaiter>();
  private readonly answers = new Set<Promise<void>>();
  /** By claim key: left out by a look because an earlier one was not over. */
  private readonly missed = new Map<string, ClaimWaiter>();
  /** On the monotonic clock. */
  usedAt: number;

  constructor(private readonly options: ClaimScopeOptions) {
    this.usedAt = options.clock.monotonic();
  }

  get isIdle(): boolean {
    return this.waiters.size === 0 && this.loop === undefined && this.answers.size === 0;
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
    this.loop ??= this.run();
  }

  /** Answers every claim and resolves when none is in progress. */
  async stop(): Promise<void> {
    for (const waiter of this.waiters) waiter.end();
    await this.loop;
    await Promise.all(this.answers);
    await this.loop;
  }

  private async run(): Promise<void> {
    // Claims of one turn are served together.
    await Promise.resolve();
    while (this.isWanted) {
      this.isWanted = false;
      const waiters = this.take();
      if (waiters.length === 0) continue;
      try {
        await this.serve(waiters);
      } catch (error) {
        this.fail(waiters, error);
      }
      for (const waiter of waiters) if (!this.beside.has(waiter)) this.release(waiter);
    }
    // Here and not when the promise has settled: a look that is wanted in between would be lost.
    this.loop = undefined;
  }

  private take(): ClaimWaiter[] {
    const taken: ClaimWaiter[] = [];
    for (const waiter of this.waiters) {
      if (this.served.has(waiter.claimKey)) this.missed.set(waiter.claimKey, waiter);
      else {
        waiter.begin();
        this.served.add(waiter.claimKey);
        taken.push(waiter);
      }
    }
    return taken;
  }

  private async serve(waiters: readonly ClaimWaiter[]): Promise<void> {
    const repeated = this.answerRepeated(waiters.filter(({ isFirst }) => !isFirst));
    // Awaited where it is needed, also after a failure of something else.
    repeated.catch(() => undefined);
    await this.readLanes();
    // Those that serve the same lanes are one group, whatever their labels.
    const groups = Map.groupBy(waiters, (waiter) => [...this.lanes].filter((lane) => waiter.serves(lane)).join('\n'));
    for (const [lanes, group] of groups) {
      if (lanes !== '') await this.serveGroup({ lanes: lanes.split('\n'), group, repeated });
    }
    await repeated;
  }

  private fail(waiters: readonly ClaimWaiter[], error: unknown): void {
    this.log.warn({ message: 'jobs could not be claimed', claims: waiters.length, error });
    for (const waiter of waiters) waiter.reject(error);
  }

  private release(waiter: ClaimWaiter): void {
    this.served.delete(waiter.claimKey);
    if (waiter.isOpen) waiter.rest();
    const missed = this.missed.get(waiter.claimKey);
    this.missed.delete(waiter.claimKey);
    if (missed?.isOpen) this.look();
  }

  /** Lets the looks go on while these are answered. */
  private answerBeside(waiters: readonly ClaimWaiter[], answer: Promise<void>): void {
    for (const waiter of waiters) this.beside.add(waiter);
    const answered = answer
      .catch((error: unknown) => this.fail(waiters, error))
      .finally(() => {
        this.answers.delete(answered);
        for (const waiter of waiters) {
          this.beside.delete(waiter);
          this.release(waiter);
        }
      });
    this.answers.add(answered);
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

  private async serveGroup({ lanes, group, repeated }: Group): Promise<void> {
    const [only] = group;
    if (only && group.length === 1 && only.capacity === 1 && lanes.length <= MAX_MERGED_LANES) {
      await repeated;
      if (only.isOpen) await this.serveOne(lanes, only);
      return;
    }
    const isToServe = (waiter: ClaimWaiter): boolean => waiter.isOpen && !this.beside.has(waiter);
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const wanted = group.filter(isToServe).reduce((sum, { capacity }) => sum + capacity, 0);
      if (wanted === 0) return;
      const found = this.options.claims.candidates(lanes, Math.min(wanted, MAX_GRANTED));
      const [ids] = await Promise.all([found, repeated]);
      const shares = shareOut(ids, group.filter(isToServe));
      if (shares.size === 0) return;
      await this.grant(shares);
    }
  }

  private async serveOne(lanes: readonly string[], waiter: ClaimWaiter): Promise<void> {
    const { marks, token } = this.marksOf(waiter);
    const job = await this.options.claims.grantFirst(lanes, marks);
    if (job === null) return;
    this.options.announcer.changed([job]);
    waiter.settle([claimedJob(job, token)]);
  }

  /** Resolves when it is known who has got something: at once, unless another replica was faster with some. */
  private async grant(shares: Grants): Promise<void> {
    const grants: Grant[] = [];
    const tokens: Tokens = new Map();
    for (const [waiter, ids] of shares) {
      const { marks, token } = this.marksOf(waiter);
      grants.push({ marks, ids });
      tokens.set(waiter.claimKey, { waiter, token });
    }
    const granted = await this.options.claims.grant(grants);
    const told = this.tell(tokens);
    const all = grants.reduce((sum, { ids }) => sum + ids.length, 0);
    if (granted < all) await told;
    else this.answerBeside([...shares.keys()], told);
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
