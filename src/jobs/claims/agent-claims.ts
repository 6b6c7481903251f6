import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../../errors/app-error.js';
import { EventBus } from '../../realtime/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { AGENT_DIRECTORY, type AgentDirectory, type AgentIdentity } from '../agent-directory.js';
import type { ClaimRequest } from './claim-waiter.js';
import { JobDispatcher } from './job-dispatcher.js';
import { JobLeases } from '../job-leases.js';
import type { ClaimedJob } from '../job.js';

/** How long it is believed that an agent is still there. A look at it takes a read, which a claim that waited can afford. */
const BELIEVED_MS = 1_000;

/**
 * Claims on behalf of an agent that may be revoked, removed or drained while they wait: told by the bus, they end at
 * once; found gone when jobs were granted, on any replica, these go back to the queue.
 */
@Injectable()
export class AgentClaims {
  private readonly waiting = new Map<string, Set<AbortController>>();

  constructor(
    @Inject(JobDispatcher) private readonly dispatcher: Pick<JobDispatcher, 'claim'>,
    @Inject(JobLeases) private readonly leases: Pick<JobLeases, 'releaseAll'>,
    @Inject(AGENT_DIRECTORY) private readonly agents: Pick<AgentDirectory, 'find'>,
    @Inject(EventBus) bus: Pick<EventBus, 'subscribe'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    bus.subscribe('claims of agents', ['agent.changed'], ({ payload: { agent, change } }) => {
      if (change !== 'removed' && agent.status === 'active' && agent.schedulable) return;
      for (const claim of this.waiting.get(agent.id) ?? []) claim.abort();
    });
  }

  /** @throws AppError `auth.required` if the agent is gone, `service.draining`. */
  async claim(agentId: string, request: ClaimRequest, signal: AbortSignal): Promise<ClaimedJob[]> {
    const revoked = new AbortController();
    const claims = this.waiting.get(agentId) ?? new Set();
    this.waiting.set(agentId, claims.add(revoked));
    try {
      const agent = await this.require(agentId);
      const askedAt = this.clock.monotonic();
      const jobs = await this.dispatcher.claim(agent, request, AbortSignal.any([signal, revoked.signal]));
      if (revoked.signal.aborted || (jobs.length > 0 && this.clock.monotonic() - askedAt > BELIEVED_MS)) {
        await this.requireStill(agentId);
      }
      return jobs;
    } finally {
      claims.delete(revoked);
      if (claims.size === 0) this.waiting.delete(agentId);
    }
  }

  /** After the grant: a removal that is not seen here releases what was granted itself. */
  private async requireStill(agentId: string): Promise<void> {
    try {
      await this.require(agentId);
    } catch (error) {
      if (error instanceof AppError) await this.leases.releaseAll(agentId, 'agent_removed');
      throw error;
    }
  }

  private async require(agentId: string): Promise<AgentIdentity> {
    const agent = await this.agents.find(agentId);
    if (agent === null) throw new AppError('auth.required', 'the agent is gone or revoked; register it again');
    return agent;
  }
}
