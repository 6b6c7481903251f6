import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { Types } from 'mongoose';
import { AuditLog } from '../audit/index.js';
import { ALL_TENANTS } from '../auth/index.js';
import { SERVER_TIME, type ServerTime } from '../database/index.js';
import { AppError } from '../errors/app-error.js';
import { fromStoredLabels, toStoredLabels } from '../http/index.js';
import { RANDOM, type Random } from '../runtime/random.js';
import { TenantsService } from '../tenants/index.js';
import { AgentAnnouncer } from './agent-announcer.js';
import { AgentHeartbeats } from './agent-heartbeats.js';
import { type AgentDocument, newAgentCredential, toAgent } from './agent.document.js';
import type { Agent } from './agent.js';
import type { RegisterAgent } from './agent-protocol.dto.js';
import { AgentsRepository } from './agents.repository.js';
import type { BootstrapTokenDocument } from './bootstrap/bootstrap-token.document.js';
import { BootstrapTokensRepository } from './bootstrap/bootstrap-tokens.repository.js';
import { TokenRefused } from './bootstrap/token-refused.js';

export interface RegisteredAgent {
  readonly agent: Agent;
  /** The only time that it is told. */
  readonly credential: string;
  readonly nextBeatMs: number;
}

/**
 * A bootstrap token and a name become an agent with a credential of its own. The use of the token is taken first, by one
 * conditional update that also notes which agent it is for; so of two agents that race for the last use one wins, and an
 * attempt that was cut in between is taken up by whoever repeats its `requestId`.
 */
@Injectable()
export class AgentRegistration {
  constructor(
    private readonly tokens: BootstrapTokensRepository,
    private readonly agents: AgentsRepository,
    private readonly announcer: AgentAnnouncer,
    private readonly heartbeats: AgentHeartbeats,
    @Inject(TenantsService) private readonly tenants: Pick<TenantsService, 'exists'>,
    @Inject(AuditLog) private readonly audit: Pick<AuditLog, 'append'>,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  /** @throws TokenRefused; AppError `resource.name_taken`. */
  async register(request: RegisterAgent): Promise<RegisteredAgent> {
    const now = await this.time.read();
    const token = await this.tokens.prove(request.token);
    if (token === null) throw new TokenRefused('unknown');
    const requestKey = createHash('sha256')
      .update(request.requestId ?? this.random.uuid())
      .digest('hex');
    const agentId = await this.takeUse(token, request.name, requestKey, now);
    const made = newAgentCredential(agentId, `bootstrap-token ${token._id.toHexString()}`, now, this.random);
    const fresh = this.document(token, request, agentId, made.stored, now);
    const agent = (await this.agents.insert(fresh)) ? fresh : await this.takeUp(fresh, requestKey, token);
    await this.refuseDeletedTenant(agent, token);
    await this.audit.append({
      tenantId: token.tenantId,
      actor: { kind: 'agent', id: agentId.toHexString() },
      action: 'bootstrap-token.use',
      target: { type: 'bootstrap-token', id: token._id.toHexString() },
      outcome: 'success',
      detail: { name: agent.name, credential: made.stored.keyId },
    });
    this.announcer.changed(agent, 'registered', agent.createdBy);
    return { agent: toAgent(agent), credential: made.text, nextBeatMs: this.heartbeats.nextBeatMs() };
  }

  /** The id of the agent that this use of the token is for. */
  private async takeUse(
    token: BootstrapTokenDocument,
    name: string,
    requestKey: string,
    now: Date,
  ): Promise<Types.ObjectId> {
    if (token.revokedAt !== null) throw new TokenRefused('revoked', token);
    if (token.expiresAt <= now) throw new TokenRefused('expired', token);
    const known = registeredBy(token, requestKey);
    if (known) return known;
    if (token.remainingUses > 0 && (await this.agents.hasName(token.tenantId, name))) throw nameTaken(name);
    const agentId = new Types.ObjectId();
    if (await this.tokens.use(token._id, { requestKey, agentId }, now)) return agentId;
    // Spent or revoked by now; or the same request was sent twice, and the other was first.
    const current = await this.tokens.findById(token._id);
    const other = current && current.revokedAt === null ? registeredBy(current, requestKey) : undefined;
    if (!other) throw new TokenRefused(current && current.revokedAt === null ? 'spent' : 'revoked', token);
    return other;
  }

  /** The agent is there: its registration is repeated. Or its name is: then the token gets its use back. */
  private async takeUp(
    fresh: AgentDocument,
    requestKey: string,
    token: BootstrapTokenDocument,
  ): Promise<AgentDocument> {
    const known = await this.agents.findById(fresh._id);
    if (known === null) {
      await this.tokens.giveBack(fresh.bootstrapTokenId, requestKey);
      throw nameTaken(fresh.name);
    }
    if (known.status !== 'active') throw new TokenRefused('agent_revoked', token);
    // Nobody knows what the lost answers told, so only this one holds.
    const { credentials, createdAt } = fresh;
    const agent = await this.agents.update(known._id, known.version, { credentials }, createdAt);
    if (agent === null) throw new AppError('resource.version_conflict', 'the agent changed meanwhile; repeat this');
    return agent;
  }

  private async refuseDeletedTenant({ tenantId, _id }: AgentDocument, token: BootstrapTokenDocument): Promise<void> {
    if (tenantId === ALL_TENANTS || (await this.tenants.exists(tenantId))) return;
    await this.agents.delete({ tenantId }, _id.toHexString());
    throw new TokenRefused('tenant_deleted', token);
  }

  private document(
    token: BootstrapTokenDocument,
    { name, labels, version }: RegisterAgent,
    _id: Types.ObjectId,
    credential: AgentDocument['credentials'][number],
    now: Date,
  ): AgentDocument {
    return {
      _id,
      tenantId: token.tenantId,
      name,
      labels: toStoredLabels({ ...labels, ...fromStoredLabels(token.labels) }),
      status: 'active',
      schedulable: true,
      credentials: [credential],
      lastSeenAt: now,
      health: 'unknown',
      healthSince: now,
      load: null,
      agentVersion: version ?? null,
      bootstrapTokenId: token._id,
      version: 1,
      createdAt: now,
      updatedAt: now,
      createdBy: credential.createdBy,
    };
  }
}

function registeredBy({ registrations }: BootstrapTokenDocument, requestKey: string): Types.ObjectId | undefined {
  return registrations.find((each) => each.requestKey === requestKey)?.agentId;
}

function nameTaken(name: string): AppError {
  return new AppError(
    'resource.name_taken',
    `there is an agent called ${name} already; take another name, or have it removed`,
  );
}
