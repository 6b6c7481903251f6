import { Registry } from 'prom-client';
import { AgentAnnouncer } from '../../src/agents/agent-announcer.js';
import { AgentAuthority } from '../../src/agents/agent-authority.js';
import { AgentHeartbeats } from '../../src/agents/agent-heartbeats.js';
import { RegisterAgent } from '../../src/agents/agent-protocol.dto.js';
import { AgentRegistration, type RegisteredAgent } from '../../src/agents/agent-registration.js';
import { AgentWork, type RenewedWork, type WorkEntry, type WorkLeases } from '../../src/agents/agent-work.js';
import { type AgentsConfig, agentsConfig } from '../../src/agents/agents.config.js';
import { AgentsMetrics } from '../../src/agents/agents.metrics.js';
import { AgentsRepository } from '../../src/agents/agents.repository.js';
import { AgentsService } from '../../src/agents/agents.service.js';
import { BootstrapTokenCleanup } from '../../src/agents/bootstrap/bootstrap-token-cleanup.js';
import { CreateBootstrapToken } from '../../src/agents/bootstrap/bootstrap-tokens.dto.js';
import { BootstrapTokensRepository } from '../../src/agents/bootstrap/bootstrap-tokens.repository.js';
import { BootstrapTokensService } from '../../src/agents/bootstrap/bootstrap-tokens.service.js';
import { AgentHealthRepository } from '../../src/agents/health/agent-health.repository.js';
import { AgentHealthSweep } from '../../src/agents/health/agent-health-sweep.js';
import { StoredAgentDirectory } from '../../src/agents/stored-agent-directory.js';
import type { Principal } from '../../src/auth/index.js';
import { CryptoRandom } from '../../src/runtime/random.js';
import { configDefaults } from './config-defaults.js';
import { FakeAuditLog } from './fake-audit-log.js';
import { FakeClock } from './fake-clock.js';
import { ADMIN, makeTenants } from './tenant-room.js';
import { openTestDatabase } from './test-database.js';

/** Renews everything; keeps whose leases were released. */
class FakeWork implements WorkLeases {
  leaseMs = 60_000;
  readonly released: Array<readonly [agentId: string, reason: string]> = [];

  renew(_agent: { readonly id: string }, entries: readonly WorkEntry[]): Promise<RenewedWork> {
    const renewed = entries.map(({ jobId: id }) => ({ id, expiresInMs: this.leaseMs }));
    return Promise.resolve({ renewed, lost: [], cancel: [] });
  }

  releaseAll(agentId: string, reason: string): Promise<number> {
    this.released.push([agentId, reason]);
    return Promise.resolve(1);
  }
}

/** The room on one real store. */
export async function openAgentRoom(settings: Partial<AgentsConfig> = {}) {
  const database = await openTestDatabase();
  const clock = new FakeClock();
  const config = configDefaults(agentsConfig, settings);
  const tenants = makeTenants(database.connection, clock);
  const { time, bus } = tenants;
  const random = new CryptoRandom();
  const audit = new FakeAuditLog();
  const registry = new Registry();
  const leases = new FakeWork();
  const work = new AgentWork();
  work.register(leases);

  const agents = new AgentsRepository(database.connection, time);
  const tokens = new BootstrapTokensRepository(database.connection, time);
  const announcer = new AgentAnnouncer(bus);
  const heartbeats = new AgentHeartbeats(agents, announcer, work, config, random);
  const registration = new AgentRegistration(
    tokens,
    agents,
    announcer,
    heartbeats,
    tenants.service,
    audit,
    time,
    random,
  );
  const service = new AgentsService(
    agents,
    tokens,
    announcer,
    work,
    tenants.service,
    audit,
    config,
    time,
    clock,
    random,
  );
  const tokensService = new BootstrapTokensService(tokens, tenants.service, time, random);
  const cleanup = new BootstrapTokenCleanup(tokens, config, time);
  const directory = new StoredAgentDirectory(agents, announcer);
  const authority = new AgentAuthority(agents, clock);
  const health = new AgentHealthRepository(agents, database.connection);
  const metrics = new AgentsMetrics(registry);
  const sweep = new AgentHealthSweep(health, directory, work, announcer, metrics, config, time, random);

  const issueToken = (asked: object = {}, by: Principal = ADMIN) =>
    tokensService.issue(by, CreateBootstrapToken.parse(asked));
  const register = (token: string, name: string, more: object = {}): Promise<RegisteredAgent> =>
    registration.register(RegisterAgent.parse({ token, name, ...more }));
  /** An agent with a token of its own. */
  const addAgent = async (name: string, asked: object = {}): Promise<RegisteredAgent> =>
    register((await issueToken(asked)).token, name);
  const beat = (agent: { readonly id: string; readonly tenantId: string }) =>
    heartbeats.beat({ kind: 'agent', role: 'operator', ...agent }, { jobs: [] });

  return {
    database,
    clock,
    config,
    tenants,
    bus,
    audit,
    registry,
    leases,
    agents,
    tokens,
    registration,
    heartbeats,
    service,
    tokensService,
    cleanup,
    directory,
    authority,
    health,
    sweep,
    issueToken,
    register,
    addAgent,
    beat,
    clear: async (): Promise<void> => {
      for (const name of ['agents', 'agent_health', 'bootstrap_tokens']) {
        await database.connection.db?.collection(name).deleteMany({});
      }
      await tenants.repository.collection.deleteMany({ name: { $ne: 'default' } });
      bus.events.length = 0;
      leases.released.length = 0;
      audit.clear();
    },
    close: () => database.close(),
  };
}

export type AgentRoom = Awaited<ReturnType<typeof openAgentRoom>>;
