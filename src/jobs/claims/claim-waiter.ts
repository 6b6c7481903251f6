import type { Clock, Timer } from '../../runtime/clock.js';
import type { AgentIdentity } from '../agent-directory.js';
import type { ClaimedJob } from '../job.js';
import { requirementsOfLane, selects } from '../lane.js';

/** What an agent asks for. */
export interface ClaimRequest {
  /** Jobs at most. */
  readonly capacity: number;
  /** What the agent can do besides what it is registered with, which wins. */
  readonly labels: Readonly<Record<string, string>>;
  /** How long to wait for the first job. */
  readonly waitMs: number;
  /** Chosen by the agent for each claim: repeating it gets the same jobs. */
  readonly claimId: string;
}

export interface WaiterOptions {
  readonly agent: AgentIdentity;
  readonly request: ClaimRequest;
  readonly claimKey: string;
  readonly clock: Clock;
  /** Called once, when the claim is answered or given up. */
  readonly onSettled: (waiter: ClaimWaiter) => void;
}

/** A claim on its way: answered with jobs, or with none when its time is over and no grant of its is in progress. */
export class ClaimWaiter {
  readonly claimKey: string;
  readonly agentId: string;
  readonly capacity: number;
  readonly answer: Promise<ClaimedJob[]>;
  /** Whether it is known that no earlier claim had this claim id. */
  isFirst = false;
  private readonly labels: Readonly<Record<string, string>>;
  private readonly served = new Map<string, boolean>();
  private readonly timer: Timer | undefined;
  private readonly deferred = Promise.withResolvers<ClaimedJob[]>();
  private isOver = false;
  private isBusy = false;
  private isSettled = false;

  constructor(private readonly options: WaiterOptions) {
    const { agent, request, clock } = options;
    this.claimKey = options.claimKey;
    this.agentId = agent.id;
    this.capacity = request.capacity;
    this.labels = { ...request.labels, ...agent.labels };
    this.answer = this.deferred.promise;
    // The first look is part of every claim; without a wait it is the only one.
    this.isBusy = true;
    if (request.waitMs > 0) this.timer = clock.after(request.waitMs, () => this.end());
    else this.isOver = true;
  }

  serves(lane: string): boolean {
    if (!this.options.agent.schedulable) return false;
    const known = this.served.get(lane);
    if (known !== undefined) return known;
    const serves = selects(requirementsOfLane(lane), this.labels);
    this.served.set(lane, serves);
    return serves;
  }

  get isOpen(): boolean {
    return !this.isSettled;
  }

  /** It waits, and no look is in progress. */
  get isParked(): boolean {
    return this.isOpen && !this.isBusy;
  }

  /** While jobs may be granted to it, its end waits: they would be stranded. */
  begin(): void {
    this.isBusy = true;
  }

  /** The look is over and brought nothing. */
  rest(): void {
    this.isBusy = false;
    if (this.isOver) this.settle([]);
  }

  /** No more waiting: answered now, or when the look in progress is over. */
  end(): void {
    this.isOver = true;
    if (!this.isBusy) this.settle([]);
  }

  settle(jobs: ClaimedJob[]): void {
    if (this.close()) this.deferred.resolve(jobs);
  }

  reject(error: unknown): void {
    if (this.close()) this.deferred.reject(error);
  }

  private close(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    this.timer?.cancel();
    this.options.onSettled(this);
    return true;
  }
}
