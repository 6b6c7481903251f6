import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/index.js';
import { AuthModule, isLoopbackHost } from '../auth/index.js';
import { DatabaseConnection } from '../database/index.js';
import { GuardedDialer } from '../egress/index.js';
import { type HttpConfig, httpConfig } from '../http/index.js';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { RANDOM, type Random } from '../runtime/random.js';
import { TenantsModule } from '../tenants/index.js';
import { AnalyticsAnswers } from './analytics/analytics-answers.js';
import { ConnectSubsystemConnections } from './connections/connect-subsystem-connections.js';
import { type GatewayConfig, gatewayConfig } from './gateway.config.js';
import { GatewayMetrics } from './gateway.metrics.js';
import { LiveAnswers } from './live/live-answers.js';
import { SharedRunFeeds } from './live/shared-run-feeds.js';
import { SharedStatsFeeds } from './live/shared-stats-feeds.js';
import { Registration } from './registry/registration.js';
import { RegistrationKeys } from './registry/registration-keys.js';
import { RegistryCounters } from './registry/registry-counters.js';
import { RegistryFiguresReader } from './registry/registry-figures.js';
import { RegistryConnections, RegistryRunnable } from './registry/registry-runnable.js';
import { StoredSubsystemsRepository } from './registry/stored-subsystems.repository.js';
import { SubsystemAnnouncer } from './registry/subsystem-announcer.js';
import { SubsystemCallBacks } from './registry/subsystem-call-backs.js';
import { SUBSYSTEM_CONNECTIONS } from './registry/subsystem-connections.js';
import { SUBSYSTEM_DIRECTORY } from './registry/subsystem-directory.js';
import { SubsystemRegistry } from './registry/subsystem-registry.js';
import { SubsystemsService } from './registry/subsystems.service.js';
import { AnalyticsController } from './rest/analytics.controller.js';
import { EngineController } from './rest/engine.controller.js';
import { GatewayRunAudit } from './rest/gateway-run-audit.js';
import { GatewayRunsController } from './rest/gateway-runs.controller.js';
import { GatewayWorkflowsController } from './rest/gateway-workflows.controller.js';
import { RunCommandsController } from './rest/run-commands.controller.js';
import { SearchController } from './rest/search.controller.js';
import { SubsystemsController } from './rest/subsystems.controller.js';
import { CachedRunOwners } from './routing/cached-run-owners.js';
import { RUN_OWNERS } from './routing/run-owners.js';
import { WorkflowOwners } from './routing/workflow-owners.js';
import { RPC_ANSWERS, RPC_OBSERVERS, type RpcAnswers, RpcAudit, type RpcObserver, RpcServer } from './rpc/index.js';
import { BulkRuns } from './runs/bulk-runs.js';
import { RunAnswers } from './runs/run-answers.js';
import { RunCommands } from './runs/run-commands.js';
import { RunList } from './runs/run-list.js';
import { RunReads } from './runs/run-reads.js';
import { SearchAnswers } from './search/search-answers.js';
import { SearchDirectory } from './search/search-directory.js';
import { SearchResults } from './search/search-results.js';
import { RunStreams } from './streams/run-streams.js';
import { RunStreamsController } from './streams/run-streams.controller.js';
import { SubsystemSummaries } from './workflows/subsystem-summaries.js';
import { WorkflowAnswers } from './workflows/workflow-answers.js';
import { WorkflowList } from './workflows/workflow-list.js';

const registry = [
  {
    provide: SUBSYSTEM_CONNECTIONS,
    inject: [GuardedDialer, CLOCK, RANDOM, gatewayConfig.token, DatabaseConnection],
    useFactory: (
      dialer: GuardedDialer,
      clock: Clock,
      random: Random,
      limits: GatewayConfig,
      database: DatabaseConnection,
    ) => {
      const installationId = (): string => database.installation.installationId;
      return new ConnectSubsystemConnections({ dialer, clock, random, limits, installationId });
    },
  },
  {
    provide: RegistrationKeys,
    inject: [gatewayConfig.token, httpConfig.token],
    useFactory: ({ apiKey, subsystemKeys }: GatewayConfig, { host }: HttpConfig) =>
      new RegistrationKeys({ apiKey, subsystemKeys, servesLoopbackOnly: isLoopbackHost(host) }),
  },
  { provide: SUBSYSTEM_DIRECTORY, useExisting: SubsystemRegistry },
  Registration,
  RegistryCounters,
  RegistryFiguresReader,
  RegistryConnections,
  RegistryRunnable,
  StoredSubsystemsRepository,
  SubsystemAnnouncer,
  SubsystemCallBacks,
  SubsystemRegistry,
  SubsystemsService,
];

const answers = [
  { provide: RUN_OWNERS, useExisting: CachedRunOwners },
  AnalyticsAnswers,
  BulkRuns,
  CachedRunOwners,
  LiveAnswers,
  RunAnswers,
  RunCommands,
  SharedRunFeeds,
  RunList,
  RunReads,
  RunStreams,
  SearchAnswers,
  SearchDirectory,
  SearchResults,
  SharedStatsFeeds,
  SubsystemSummaries,
  WorkflowAnswers,
  WorkflowList,
  WorkflowOwners,
];

const rpc = [
  {
    provide: RPC_ANSWERS,
    inject: [RunAnswers, WorkflowAnswers, AnalyticsAnswers, SearchAnswers, LiveAnswers, Registration],
    useFactory: (
      runs: RunAnswers,
      workflows: WorkflowAnswers,
      analytics: AnalyticsAnswers,
      search: SearchAnswers,
      live: LiveAnswers,
      registration: Registration,
    ): RpcAnswers => ({ runs, workflows, analytics, search, live, registration }),
  },
  {
    provide: RPC_OBSERVERS,
    inject: [GatewayMetrics, RpcAudit],
    useFactory: (metrics: GatewayMetrics, audit: RpcAudit): readonly RpcObserver[] => [metrics, audit],
  },
  GatewayMetrics,
  GatewayRunAudit,
  RpcAudit,
  RpcServer,
];

/** Many FlowWatch subsystems behind one address: their registration, calls to them, and one engine made of all. */
@Module({
  imports: [AuditModule, AuthModule, TenantsModule],
  controllers: [
    RunStreamsController,
    SubsystemsController,
    GatewayWorkflowsController,
    GatewayRunsController,
    RunCommandsController,
    EngineController,
    SearchController,
    AnalyticsController,
  ],
  providers: [...registry, ...answers, ...rpc],
})
export class GatewayModule {
  constructor(
    lifecycle: LifecycleRegistry,
    announcer: SubsystemAnnouncer,
    registryRunnable: RegistryRunnable,
    registryConnections: RegistryConnections,
    rpcServer: RpcServer,
    runStreams: RunStreams,
    runAudit: GatewayRunAudit,
  ) {
    announcer.register();
    runAudit.register();
    runStreams.register();
    // Stopped first, while registration streams still carry the request to leave.
    lifecycle.register('monitors', registryRunnable);
    lifecycle.register('streams', rpcServer);
    // Stopped after the HTTP server.
    lifecycle.register('recovery', registryConnections);
    lifecycle.register('streams', runStreams);
  }
}
