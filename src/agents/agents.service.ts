import { Inject, Injectable } from '@nestjs/common';
import { AuditLog } from '../audit/index.js';
import { type Principal, type Scope, hasRole } from '../auth/index.js';
import { SERVER_TIME, type ServerTime } from '../database/index.js';
import { AppError } from '../errors/app-error.js';
import { type Page, type Removed, toPage, toStoredLabels } from '../http/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { RANDOM, type Random } from '../runtime/random.js';
import { type TenantUsage, TenantsService } from '../tenants/index.js';
import { AgentAnnouncer } from './agent-announcer.js';
import { type AgentDocument, endingBy, formerCredential, newAgentCredential, toAgent } from './agent.document.js';
import type { Agent } from './agent.js';
import { AgentWork } from './agent-work.js';
import { type AgentsConfig, agentsConfig } from './agents.config.js';
import type { IssueAgentCredential, ListAgentsQuery, NewAgentCredentialAnswer, UpdateAgent } from './agents.dto.js';
import { type AgentChange, AgentsRepository } from './agents.repository.js';
import { BootstrapTokensRepository } from './bootstrap/bootstrap-tokens.repository.js';

/** Changes of an agent between our look and our update, before we stop believing in chance. */
const MAX_ATTEMPTS = 5;

/** What users do with agents. */
@Injectable()
export class AgentsService implements TenantUsage {
  constructor(
    private readonly agents: AgentsRepository,
    private readonly tokens: BootstrapTokensRepository,
    private readonly announcer: AgentAnnouncer,
    private readonly work: AgentWork,
    @Inject(TenantsService) tenants: Pick<TenantsService, 'registerUsage'>,
    @Inject(AuditLog) private readonly audit: Pick<AuditLog, 'append' | 'record'>,
    @Inject(agentsConfig.token) private readonly config: Pick<AgentsConfig, 'rotationGraceMs'>,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
  ) {
    tenants.registerUsage(this);
  }

  async list(scope: Scope, query: ListAgentsQuery): Promise<Page<Agent>> {
    return toPage(await this.agents.list(scope, query), query.limit, toAgent);
  }

  /** @throws AppError `resource.not_found`. */
  async get(scope: Scope, id: string): Promise<Agent> {
    return toAgent(await this.require(scope, id));
  }

  /** @throws AppError `auth.forbidden` (status, unless admin), `resource.not_found`, `resource.version_conflict`. */
  async update(principal: Principal, id: string, { version, labels, ...asked }: UpdateAgent): Promise<Agent> {
    if (asked.status !== undefined && !hasRole(principal, 'admin')) {
      throw new AppError(
        'auth.forbidden',
        `the status of agents is for admins; "${principal.id}" is ${principal.role}`,
      );
    }
    const before = await this.require(principal, id);
    const now = await this.time.read();
    const change = {
      ...(labels === undefined ? {} : { labels: toStoredLabels(labels) }),
      ...(asked.schedulable === undefined ? {} : { schedulable: asked.schedulable }),
      ...(asked.status === undefined || asked.status === before.status ? {} : this.turn(before, asked.status, now)),
    };
    const document = await this.agents.update(before._id, version, change, new Date(this.clock.now()));
    if (document === null) {
      const current = await this.get(principal, id);
      const detail = `the agent has version ${current.version} by now; read it again`;
      throw new AppError('resource.version_conflict', detail, { details: { current } });
    }
    if (change.status !== 'revoked') return this.announcer.changed(document, 'updated', principal.id);
    // The row of the request says no more than that the agent was updated.
    this.audit.record({ ...auditEntry(principal, document), action: 'agent.revoke' });
    const agent = this.announcer.changed(document, 'revoked', principal.id);
    await this.work.releaseAll(id, 'agent_removed');
    return agent;
  }

  /** Its credentials end, its jobs go to others, and its bootstrap token lets it in again only for another use. */
  async remove(principal: Principal, id: string): Promise<Removed> {
    const { bootstrapTokenId } = await this.require(principal, id);
    await this.tokens.forgetAgent(bootstrapTokenId, id);
    const document = await this.agents.delete(principal, id);
    if (document === null) throw AppError.notFound('agent');
    this.announcer.changed(document, 'removed', principal.id);
    await this.work.releaseAll(id, 'agent_removed');
    return { tenantId: document.tenantId, name: document.name };
  }

  /**
   * A new credential, beside which the former one holds for the grace. An agent makes them for itself only.
   * @throws AppError `resource.not_found`, `agent.revoked`.
   */
  async issueCredential(
    principal: Principal,
    id: string,
    { graceMs = this.config.rotationGraceMs }: IssueAgentCredential,
  ): Promise<NewAgentCredentialAnswer> {
    if (principal.kind === 'agent' && principal.id !== id) throw AppError.notFound('agent');
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const agent = await this.require(principal, id);
      if (agent.status !== 'active') {
        throw new AppError('agent.revoked', `the agent ${agent.name} is revoked; make it active first`);
      }
      const now = new Date(this.clock.now());
      const { text, stored } = newAgentCredential(agent._id, principal.id, now, this.random);
      const former = endingBy(formerCredential(agent, now), new Date(now.getTime() + graceMs));
      const credentials = [...former, stored];
      // What users do is told with their request.
      if (principal.kind === 'agent') {
        const detail = { credential: stored.keyId, graceMs };
        await this.audit.append({ ...auditEntry(principal, agent), action: 'agent.credential.create', detail });
      }
      const document = await this.agents.update(agent._id, agent.version, { credentials }, now);
      if (document === null) continue;
      this.announcer.changed(document, 'rotated', principal.id);
      return { id: stored.keyId, credential: text, formerEndsInMs: graceMs };
    }
    throw new AppError('resource.version_conflict', 'the agent changes all the time; try again');
  }

  inUse(): Promise<null> {
    return Promise.resolve(null);
  }

  async forget(tenantId: string): Promise<void> {
    await this.tokens.deleteOfTenant(tenantId);
    await this.agents.deleteOfTenant(tenantId);
  }

  private turn({ credentials }: AgentDocument, status: AgentDocument['status'], now: Date): AgentChange {
    if (status === 'active') return { status, health: 'unknown', healthSince: now };
    return { status, health: 'offline', healthSince: now, credentials: endingBy(credentials, now) };
  }

  private async require(scope: Scope, id: string): Promise<AgentDocument> {
    const document = await this.agents.find(scope, id);
    if (document === null) throw AppError.notFound('agent');
    return document;
  }
}

function auditEntry({ kind, id }: Principal, { _id, tenantId, name }: AgentDocument) {
  const target = { type: 'agent', id: _id.toHexString() };
  return { tenantId, actor: { kind, id }, target, outcome: 'success' as const, detail: { name } };
}
