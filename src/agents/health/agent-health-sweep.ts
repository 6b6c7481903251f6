import { Inject, Injectable, Logger } from '@nestjs/common';
import { SERVER_TIME, type ServerTime } from '../../database/index.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import { AgentAnnouncer } from '../agent-announcer.js';
import type { AgentDocument } from '../agent.document.js';
import { AgentWork } from '../agent-work.js';
import { type AgentsConfig, agentsConfig } from '../agents.config.js';
import { AgentsMetrics } from '../agents.metrics.js';
import { StoredAgentDirectory } from '../stored-agent-directory.js';
import { type SweepGuard, mayGoOn } from '../../leader-election/index.js';
import { AgentHealthRepository } from './agent-health.repository.js';
import { type HoldReason, judge } from './agent-verdicts.js';

export interface AgentHealthResult {
  /** Agents that were watched. */
  readonly watched: number;
  readonly offline: number;
  /** Jobs taken back from agents that went offline. */
  readonly released: number;
  readonly held: HoldReason | null;
}

const ACTOR = 'agent-health';
const SLICE = 500;
/** Replicas and commands differ by less; a jump of the server's time is more. */
const FUTURE_TOLERANCE_MS = 60_000;

/** Agents that are not seen any more go offline, and their jobs to others. */
@Injectable()
export class AgentHealthSweep {
  private readonly log = new Logger(AgentHealthSweep.name);

  constructor(
    private readonly repository: AgentHealthRepository,
    private readonly directory: StoredAgentDirectory,
    private readonly work: AgentWork,
    private readonly announcer: AgentAnnouncer,
    private readonly metrics: AgentsMetrics,
    @Inject(agentsConfig.token) private readonly config: Pick<AgentsConfig, 'staleMs' | 'healthPeriodMs'>,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  /** @throws LeaseLost, the signal's reason. */
  async sweep(signal: AbortSignal, lease: SweepGuard['lease']): Promise<AgentHealthResult> {
    const guard = { signal, lease };
    mayGoOn(guard);
    // A round trip old, so that who was not seen for too long by it was not by the server's time either.
    const now = await this.time.read();
    await this.bringBack(guard, now);
    const { staleMs, healthPeriodMs: periodMs } = this.config;
    const since = new Date(now.getTime() - staleMs);
    mayGoOn(guard);
    const counts = await this.repository.counts(since);
    mayGoOn(guard);
    const before = await this.repository.lastRound();
    const { hold, round } = judge(before, now, counts, { periodMs, staleMs });
    mayGoOn(guard);
    const isOurs = await this.repository.storeRound(before, round);
    if (!isOurs || hold !== null) {
      if (isOurs && counts.vanished > 0) this.tellHold(hold, counts);
      await this.measure(guard);
      return { watched: counts.watched, offline: 0, released: 0, held: hold };
    }
    const result = await this.passVerdicts(guard, since, now);
    await this.measure(guard);
    return { watched: counts.watched, held: null, ...result };
  }

  /** The figures of the last sweep: another process has later ones. */
  forget(): void {
    this.metrics.agents({ unknown: 0, online: 0, offline: 0 });
  }

  private async passVerdicts(
    guard: SweepGuard,
    since: Date,
    now: Date,
  ): Promise<Pick<AgentHealthResult, 'offline' | 'released'>> {
    const offline: AgentDocument[] = [];
    let released = 0;
    try {
      for (let more = true; more;) {
        mayGoOn(guard);
        const ids = await this.repository.unseenSince(since, SLICE);
        if (ids.length === 0) break;
        mayGoOn(guard);
        const changed = await this.repository.markOffline(ids, since, now, this.random.uuid());
        offline.push(...changed);
        for (const agent of changed) this.announcer.changed(agent, 'offline', ACTOR);
        released += await this.releaseJobs(guard, changed);
        more = ids.length === SLICE && changed.length > 0;
      }
    } finally {
      if (offline.length > 0) this.tellVerdicts(offline, released);
    }
    return { offline: offline.length, released };
  }

  /** Of those that have not come back in between. What is cut short here job-recovery does. */
  private async releaseJobs(guard: SweepGuard, agents: readonly AgentDocument[]): Promise<number> {
    let released = 0;
    mayGoOn(guard);
    for (const agentId of await this.directory.gone(agents.map(({ _id }) => _id.toHexString()))) {
      mayGoOn(guard);
      released += await this.work.releaseAll(agentId, 'agent_offline');
    }
    return released;
  }

  private async bringBack(guard: SweepGuard, now: Date): Promise<void> {
    mayGoOn(guard);
    const beyond = new Date(now.getTime() + FUTURE_TOLERANCE_MS);
    const changed = await this.repository.bringBack(beyond, now, SLICE);
    if (changed > 0) this.log.warn({ message: 'agents were seen in the future: the server time jumped back', changed });
  }

  private async measure(guard: SweepGuard): Promise<void> {
    mayGoOn(guard);
    const counts = await this.repository.byHealth();
    mayGoOn(guard);
    this.metrics.agents(counts);
  }

  private tellHold(why: HoldReason | null, { watched, vanished }: { watched: number; vanished: number }): void {
    if (why === null) return;
    this.metrics.held(why);
    this.log.warn({ message: 'verdicts on agents are held back', why, watched, vanished });
  }

  private tellVerdicts(offline: readonly AgentDocument[], released: number): void {
    const agents = offline.map(({ _id }) => _id.toHexString());
    this.log.log({ message: 'agents went offline', count: agents.length, agents, released });
  }
}
