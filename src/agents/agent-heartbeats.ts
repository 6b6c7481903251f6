import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../auth/index.js';
import { AppError } from '../errors/app-error.js';
import { RANDOM, type Random } from '../runtime/random.js';
import { AgentAnnouncer } from './agent-announcer.js';
import type { Heartbeat, HeartbeatAnswer } from './agent-protocol.dto.js';
import { AgentWork } from './agent-work.js';
import { type AgentsConfig, agentsConfig } from './agents.config.js';
import { AgentsRepository } from './agents.repository.js';

/** A beat may be lost, and a lease is still not. */
const BEATS_PER_LEASE = 3;
/** Of the time until the next beat: agents that started together come apart. */
const JITTER = 0.2;

/** Signs of life, and with them the leases of what agents work on. */
@Injectable()
export class AgentHeartbeats {
  constructor(
    private readonly agents: AgentsRepository,
    private readonly announcer: AgentAnnouncer,
    private readonly work: AgentWork,
    @Inject(agentsConfig.token) private readonly config: Pick<AgentsConfig, 'heartbeatMs'>,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  /** @throws AppError `auth.required` if the agent was revoked or removed meanwhile. */
  async beat({ id }: Principal, { jobs, load, version }: Heartbeat): Promise<HeartbeatAnswer> {
    const seen = await this.agents.markSeen(id, { load, agentVersion: version });
    if (seen === null) throw new AppError('auth.required', 'the agent was revoked or removed; register it again');
    if (seen.healthSince.getTime() === seen.lastSeenAt.getTime()) this.announcer.changed(seen, 'online', id);
    const entries = jobs.map(({ id: jobId, token, progress }) => ({ jobId, token, progress }));
    const { renewed, lost, cancel } = await this.work.renew({ id }, entries);
    return { renewed: [...renewed], lost: [...lost], cancel: [...cancel], nextBeatMs: this.nextBeatMs() };
  }

  /** Milliseconds until the agent should beat again. */
  nextBeatMs(): number {
    const periodMs = Math.min(this.config.heartbeatMs, this.work.leaseMs / BEATS_PER_LEASE);
    return Math.floor(periodMs * (1 - JITTER * this.random.float()));
  }
}
