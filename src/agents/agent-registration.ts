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

/** Longer than an agent waits for an answer before it asks again. */
const TWIN_MS = 60_000;
const MAX_CREDENTIALS = 4;
/** Changes of the agent between our look and our update, before we stop believing in chance. */
const MAX_ATTEMPTS = 10;

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

  /** @throws TokenRefused; AppError `resource.name_taken`, `request.idempotency_key_reused`. */
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
    const isTaken = token.remainingUses > 0 && (await this.agents.hasName(token.tenantId, name));
    const agentId = new Types.ObjectId();
    if (!isTaken && (await this.tokens.use(token._id, { requestKey, agentId }, now))) return agentId;
    // The token is spent or revoked by now; or the same request was sent twice, and the other was first.
    const current = await this.tokens.findById(token._id);
    const holds = current?.revokedAt === null;
    const other = holds ? registeredBy(current, requestKey) : undefined;
    if (other) return other;
    if (isTaken) throw nameTaken(name);
    throw new TokenRefused(holds ? 'spent' : 'revoked', token);
  }

  /** The agent is there: its registration is repeated. Or its name is: then the token gets its use back. */
  private async takeUp(
    fresh: AgentDocument,
    requestKey: string,
    token: BootstrapTokenDocument,
  ): Promise<AgentDocument> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const known = await this.agents.findById(fresh._id);
      if (known === null) {
        await this.tokens.giveBack(fresh.bootstrapTokenId, requestKey);
        throw nameTaken(fresh.name);
      }
      if (known.status !== 'active') throw new TokenRefused('agent_revoked', token);
      if (known.name !== fresh.name) {
        const detail = `this requestId registered the agent "${known.name}"; take one of its own for "${fresh.name}"`;
        throw new AppError('request.idempotency_key_reused', detail);
      }
      const credentials = [...twinsOf(known, fresh.createdAt), ...fresh.credentials];
      const agent = await this.agents.update(known._id, known.version, { credentials }, fresh.createdAt);
      if (agent !== null) return agent;
    }
    throw new AppError('resource.version_conflict', 'the agent changes all the time; repeat this');
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

/**
 * Nobody knows what lost answers told, so what was issued before holds no more. Unless it was just now: then the same
 * request may be served twice at once, and its sender has either answer.
 */
function twinsOf({ credentials }: AgentDocument, now: Date): AgentDocument['credentials'] {
  const since = now.getTime() - TWIN_MS;
  return credentials.filter(({ createdAt }) => createdAt.getTime() > since).slice(1 - MAX_CREDENTIALS);
}

function nameTaken(name: string): AppError {
  return new AppError(
    'resource.name_taken',
    `there is an agent called ${name} already; take another name, or have it removed`,
  );
}
