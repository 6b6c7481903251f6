import { Inject, Injectable } from '@nestjs/common';
import {
  type CredentialAuthority,
  type FoundPrincipal,
  type Principal,
  readCredential,
  secretDigest,
} from '../auth/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { AGENT_PREFIX, type AgentDocument } from './agent.document.js';
import { AgentsRepository } from './agents.repository.js';

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
    if (!sent) return 'unknown';
    const digest = secretDigest(sent.secret);
    const agent = await this.agents.findByDigest(digest);
    const known = agent?.credentials.find((each) => each.keyId === sent.keyId && each.digest === digest);
    if (agent === null || !known) return 'unknown';
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
