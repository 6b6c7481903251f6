import { Inject, Injectable } from '@nestjs/common';
import { Types } from 'mongoose';
import {
  type CredentialAuthority,
  type FoundPrincipal,
  type Principal,
  isSecretOf,
  readCredential,
} from '../auth/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { AGENT_PREFIX, type AgentDocument } from './agent.document.js';
import { AgentsRepository } from './agents.repository.js';

const KEY_ID = /^([0-9a-f]{24})-[0-9a-f]{8}$/;

/** Whose an agent's credential is. */
@Injectable()
export class AgentAuthority implements CredentialAuthority {
  readonly prefix = AGENT_PREFIX;

  constructor(
    private readonly agents: AgentsRepository,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async find(credential: string): Promise<FoundPrincipal> {
    const sent = readCredential(this.prefix, credential);
    const [, agentId] = KEY_ID.exec(sent?.keyId ?? '') ?? [];
    if (!sent || agentId === undefined) return 'unknown';
    const agent = await this.agents.findById(new Types.ObjectId(agentId));
    const known = agent?.credentials.find(({ keyId }) => keyId === sent.keyId);
    if (!isSecretOf(known?.digest, sent.secret) || agent === null || !known) return 'unknown';
    const isOver = known.endsAt !== null && known.endsAt.getTime() <= this.clock.now();
    if (isOver || agent.status !== 'active') return 'over';
    if (known.firstUsedAt === null) {
      await this.agents.markCredentialUsed(agent._id, known.keyId, new Date(this.clock.now()));
    }
    return principalOf(agent);
  }

  /** Agents ask for nothing that outlives a request. */
  stands(_principal: Principal): Promise<boolean> {
    return Promise.resolve(false);
  }
}

export function principalOf({ _id, tenantId }: Pick<AgentDocument, '_id' | 'tenantId'>): Principal {
  return { kind: 'agent', id: _id.toHexString(), role: 'operator', tenantId };
}
