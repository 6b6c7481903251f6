import { Inject, Injectable, Logger } from '@nestjs/common';
import { ALL_TENANTS } from '../../auth/principal.js';
import { AppError } from '../../errors/app-error.js';
import { Readiness } from '../../lifecycle/index.js';
import { EventBus } from '../../realtime/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { PeriodicTask } from '../../runtime/periodic-task.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import type { Runnable } from '../../runtime/runnable.js';
import type { AgentIdentity } from '../agent-directory.js';
import { ClaimScope } from './claim-scope.js';
import { type ClaimRequest, ClaimWaiter } from './claim-waiter.js';
import { JobAnnouncer } from '../streams/job-announcer.js';
import { JobClaimsRepository } from './job-claims.repository.js';
import type { ClaimedJob } from '../job.js';
import { type JobsConfig, jobsConfig } from '../jobs.config.js';
import { JobsMetrics } from '../jobs.metrics.js';
import { lanePrefixOf, lanesOf } from '../lane.js';
import { claimKeyOf } from './lease-token.js';

/** A scope that nobody claimed in for so long is forgotten, and its lanes with it. */
const SCOPE_KEPT_MS = 60_000;

/**
 * Claims of agents at this replica. A claim that finds nothing is parked in memory; jobs that come in wake it by a hint
 * on the bus, and a slow poll finds those that came in elsewhere. Parked claims are answered empty when the service
 * drains, later ones are refused; one more than the bound is not parked.
 */
@Injectable()
export class JobDispatcher implements Runnable {
  readonly name = 'job dispatcher';
  private readonly log = new Logger(JobDispatcher.name);
  private readonly scopes = new Map<string, ClaimScope>();
  private readonly parked = new Map<string, ClaimWaiter>();
  private readonly poll: PeriodicTask;
  private isStopped = false;

  constructor(
    private readonly claims: JobClaimsRepository,
    private readonly announcer: JobAnnouncer,
    private readonly metrics: JobsMetrics,
    @Inject(EventBus) bus: Pick<EventBus, 'subscribe'>,
    @Inject(Readiness) private readonly readiness: Pick<Readiness, 'state'>,
    @Inject(jobsConfig.token) private readonly config: JobsConfig,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
  ) {
    bus.subscribe('job dispatcher', ['jobs.queued'], ({ payload }) => this.hint(payload.lanes));
    this.poll = new PeriodicTask({
      name: 'job poll',
      periodMs: config.pollMs,
      runOnce: () => Promise.resolve(this.lookEverywhere()),
      onError: (error) => this.log.error({ message: 'the job poll failed', error }),
      clock,
    });
  }

  /** Claims that have found nothing and wait. */
  get parkedClaims(): number {
    return [...this.parked.values()].filter(({ isParked }) => isParked).length;
  }

  async start(): Promise<void> {
    await this.poll.start();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await Promise.all([this.poll.stop(), ...[...this.scopes.values()].map((scope) => scope.stop())]);
  }

  /**
   * Jobs for the agent, or none when its time is over. A repeated claim id gets what the first one got; the first one,
   * if it still waits, is answered empty.
   * @throws AppError `service.draining`.
   */
  async claim(agent: AgentIdentity, request: ClaimRequest, signal: AbortSignal): Promise<ClaimedJob[]> {
    if (signal.aborted) return [];
    if (this.isStopped || this.readiness.state === 'draining') {
      // Answered empty, an agent would claim again at once, and keep a connection busy that is to end.
      throw new AppError('service.draining', 'the service is shutting down; claim again when it is back', {
        headers: { 'Retry-After': '1', Connection: 'close' },
      });
    }
    const claimKey = claimKeyOf(agent.id, request.claimId);
    this.parked.get(claimKey)?.end();
    const isFull = this.parked.size >= this.config.maxParkedClaims;
    const scope = this.scopeOf(lanesOf(agent.tenantId === ALL_TENANTS ? 'platform' : 'tenant', agent.tenantId));
    const waiter = new ClaimWaiter({
      agent,
      request: isFull ? { ...request, waitMs: 0 } : request,
      claimKey,
      clock: this.clock,
      onSettled: (settled) => {
        scope.remove(settled);
        if (this.parked.get(claimKey) === settled) this.parked.delete(claimKey);
        this.metrics.parked(this.parked.size);
      },
    });
    const onAbort = (): void => waiter.end();
    this.parked.set(claimKey, waiter);
    this.metrics.parked(this.parked.size);
    signal.addEventListener('abort', onAbort, { once: true });
    scope.add(waiter);
    try {
      return await waiter.answer;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  private hint(lanes: readonly string[]): void {
    for (const lane of lanes) this.scopes.get(lanePrefixOf(lane))?.learn(lane);
  }

  private lookEverywhere(): void {
    const now = this.clock.monotonic();
    for (const [prefix, scope] of this.scopes) {
      if (!scope.isIdle) scope.look();
      else if (now - scope.usedAt > SCOPE_KEPT_MS) this.scopes.delete(prefix);
    }
  }

  private scopeOf(prefix: string): ClaimScope {
    const known = this.scopes.get(prefix);
    if (known) return known;
    const { claims, announcer, clock, random } = this;
    // Shorter than the poll, so that each poll reads the lanes anew.
    const lanesKeptMs = this.config.pollMs / 2;
    const scope = new ClaimScope({ prefix, lanesKeptMs, claims, announcer, clock, random });
    this.scopes.set(prefix, scope);
    return scope;
  }
}
