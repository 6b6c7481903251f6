import { Injectable } from '@nestjs/common';
import { fromStoredLabels } from '../http/index.js';
import { AgentAnnouncer } from './agent-announcer.js';
import type { AgentDocument } from './agent.document.js';
import { AgentsRepository } from './agents.repository.js';

/** What the queue asks of the agents. */
@Injectable()
export class StoredAgentDirectory {
  constructor(
    private readonly agents: AgentsRepository,
    private readonly announcer: AgentAnnouncer,
  ) {}

  /** For a claim: who claims is there, so one that was not online is from now on. Null if it is gone or revoked. */
  async find(agentId: string) {
    const [known] = await this.agents.ofIds([agentId]);
    if (!known || known.status !== 'active') return null;
    const agent = known.health === 'online' ? known : await this.wake(agentId);
    if (agent === null) return null;
    const { tenantId, labels, schedulable } = agent;
    return { id: agentId, tenantId, labels: fromStoredLabels(labels), schedulable };
  }

  /** Of these, the ones that do not exist, are revoked or offline. */
  async gone(agentIds: readonly string[]): Promise<ReadonlySet<string>> {
    const found = await this.agents.ofIds(agentIds);
    const there = found.filter(({ status, health }) => status === 'active' && health !== 'offline');
    const present = new Set(there.map(({ _id }) => _id.toHexString()));
    return new Set(agentIds.filter((id) => !present.has(id)));
  }

  private async wake(agentId: string): Promise<AgentDocument | null> {
    const woken = await this.agents.markSeen(agentId);
    if (woken) this.announcer.changed(woken, 'online', agentId);
    return woken;
  }
}
