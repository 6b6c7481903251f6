import { Logger } from '@nestjs/common';
import { ClaimGrants, type ClaimGrantsOptions } from './claim-grants.js';
import type { ClaimWaiter } from './claim-waiter.js';
import { type JobClaimsRepository, MAX_MERGED_LANES } from './job-claims.repository.js';
import { KnownLanes, type KnownLanesOptions } from './known-lanes.js';
import { type Shares, shareOut } from './share-out.js';

/** Jobs that one look grants to all claims together. */
const MAX_GRANTED = 1_000;
/** Looks again, when another replica was faster, before it waits for the next hint. */
const MAX_TRIES = 3;

export interface ClaimScopeOptions extends KnownLanesOptions, ClaimGrantsOptions {
  readonly claims: JobClaimsRepository;
}

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
  private readonly lanes: KnownLanes;
  private readonly grants: ClaimGrants;
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
    this.lanes = new KnownLanes(options);
    this.grants = new ClaimGrants(options);
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
    this.lanes.learn(lane);
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
    const repeated = this.grants.repeat(waiters.filter(({ isFirst }) => !isFirst));
    // Awaited where it is needed, also after a failure of something else.
    repeated.catch(() => undefined);
    await this.lanes.refresh();
    // Those that serve the same lanes are one group, whatever their labels.
    const groups = Map.groupBy(waiters, (waiter) => this.lanes.servedBy(waiter).join('\n'));
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

  private async serveGroup({ lanes, group, repeated }: Group): Promise<void> {
    const [only] = group;
    if (only && group.length === 1 && only.capacity === 1 && lanes.length <= MAX_MERGED_LANES) {
      await repeated;
      if (only.isOpen) await this.grants.giveFirst(lanes, only);
      return;
    }
    const isToServe = (waiter: ClaimWaiter): boolean => waiter.isOpen && !this.beside.has(waiter);
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const wanted = group.filter(isToServe).reduce((sum, { capacity }) => sum + capacity, 0);
      if (wanted === 0) return;
      const found = this.options.claims.candidates(lanes, Math.min(wanted, MAX_GRANTED));
      const [candidates] = await Promise.all([found, repeated]);
      const shares = shareOut(candidates, group.filter(isToServe));
      if (shares.size === 0) return;
      await this.give(shares);
    }
  }

  /** Resolves when it is known who has got something: at once, unless another replica was faster with some. */
  private async give(shares: Shares): Promise<void> {
    const { isWhole, told } = await this.grants.give(shares);
    if (isWhole) this.answerBeside([...shares.keys()], told);
    else await told;
  }
}
