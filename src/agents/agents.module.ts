import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/index.js';
import { AuthModule, Credentials } from '../auth/index.js';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { TenantsModule } from '../tenants/index.js';
import { AgentAnnouncer } from './agent-announcer.js';
import { AgentAuthority } from './agent-authority.js';
import { AgentHeartbeats } from './agent-heartbeats.js';
import { AgentProtocolController } from './agent-protocol.controller.js';
import { AgentRegistration } from './agent-registration.js';
import { AgentWork } from './agent-work.js';
import { AgentsController } from './agents.controller.js';
import { AgentsMetrics } from './agents.metrics.js';
import { AgentsRepository } from './agents.repository.js';
import { AgentsService } from './agents.service.js';
import { BootstrapTokenCleanup } from './bootstrap/bootstrap-token-cleanup.js';
import { BootstrapTokensController } from './bootstrap/bootstrap-tokens.controller.js';
import { BootstrapTokensRepository } from './bootstrap/bootstrap-tokens.repository.js';
import { BootstrapTokensService } from './bootstrap/bootstrap-tokens.service.js';
import { RefusedRegistrations } from './bootstrap/refused-registrations.js';
import { AgentHealthRepository } from './health/agent-health.repository.js';
import { AgentHealthSweep } from './health/agent-health-sweep.js';
import { StoredAgentDirectory } from './stored-agent-directory.js';

/** Agents: how they come in, prove who they are, stay alive and go. */
@Module({
  imports: [AuditModule, AuthModule, TenantsModule],
  // Before the routes with an id, as `register` and `heartbeat` are none.
  controllers: [AgentProtocolController, AgentsController, BootstrapTokensController],
  providers: [
    AgentAnnouncer,
    AgentAuthority,
    AgentHealthRepository,
    AgentHealthSweep,
    AgentHeartbeats,
    AgentRegistration,
    AgentWork,
    AgentsMetrics,
    AgentsRepository,
    AgentsService,
    BootstrapTokenCleanup,
    BootstrapTokensRepository,
    BootstrapTokensService,
    RefusedRegistrations,
    StoredAgentDirectory,
  ],
  exports: [AgentHealthSweep, AgentWork, BootstrapTokenCleanup, StoredAgentDirectory],
})
export class AgentsModule {
  constructor(
    credentials: Credentials,
    authority: AgentAuthority,
    lifecycle: LifecycleRegistry,
    refusals: RefusedRegistrations,
  ) {
    credentials.register(authority);
    // With the last request, before the audit log.
    lifecycle.register('http', refusals);
  }
}
