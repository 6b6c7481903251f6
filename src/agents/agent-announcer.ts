import { Inject, Injectable, Logger } from '@nestjs/common';
import { EventBus } from '../realtime/index.js';
import type { AgentChanged } from './agent-events.js';
import { type AgentDocument, toAgent } from './agent.document.js';
import type { Agent } from './agent.js';

/** Tells what was stored. */
@Injectable()
export class AgentAnnouncer {
  private readonly log = new Logger(AgentAnnouncer.name);

  constructor(@Inject(EventBus) private readonly bus: Pick<EventBus, 'publish'>) {}

  /** `by`: who or what did it: a principal or a reconciler. */
  changed(document: AgentDocument, change: AgentChanged['change'], by: string): Agent {
    const agent = toAgent(document);
    const { id, tenantId, name } = agent;
    this.log.log({ message: 'an agent has changed', change, agentId: id, tenantId, name, by });
    this.bus.publish('agent.changed', { agent, change }, { coalesceKey: id, tombstone: change === 'removed' });
    return agent;
  }
}
