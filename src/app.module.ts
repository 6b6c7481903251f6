import { type DynamicModule, Global, Module } from '@nestjs/common';
import { AuditModule } from './audit/index.js';
import { AgentsModule } from './agents/index.js';
import { ApiKeysModule } from './api-keys/index.js';
import { AuthModule } from './auth/index.js';
import { ClusterHealthModule } from './cluster-health/index.js';
import { ConfigModule, type LoadedConfig } from './config/index.js';
import { ControllersModule } from './controllers/index.js';
import { DatabaseModule } from './database/index.js';
import { EgressModule } from './egress/index.js';
import { GatewayModule } from './gateway/index.js';
import { HealthModule } from './health/health.module.js';
import { HttpModule } from './http/index.js';
import { JobsModule } from './jobs/index.js';
import { KubernetesModule } from './kubernetes/index.js';
import { LeaderElectionModule } from './leader-election/index.js';
import { LifecycleModule } from './lifecycle/index.js';
import { MetricsModule } from './metrics/index.js';
import { RealtimeModule } from './realtime/index.js';
import { CLOCK, type Clock } from './runtime/clock.js';
import { RANDOM, type Random } from './runtime/random.js';
import { SealingModule } from './sealing/index.js';
import { TenantsModule } from './tenants/index.js';
import { WatchersModule } from './watchers/index.js';
import { WorkflowsModule } from './workflows/index.js';

export interface AppOptions {
  readonly config: LoadedConfig;
  readonly clock: Clock;
  readonly random: Random;
}

/** The only place that knows every room. */
@Global()
@Module({})
export class AppModule {
  static forRoot({ config, clock, random }: AppOptions): DynamicModule {
    const ambient = [
      { provide: CLOCK, useValue: clock },
      { provide: RANDOM, useValue: random },
    ];
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot(config),
        LifecycleModule,
        MetricsModule,
        DatabaseModule,
        AuthModule,
        HttpModule,
        EgressModule,
        SealingModule,
        LeaderElectionModule,
        RealtimeModule,
        KubernetesModule,
        ClusterHealthModule,
        WatchersModule,
        WorkflowsModule,
        AuditModule,
        TenantsModule,
        ApiKeysModule,
        AgentsModule,
        JobsModule,
        ControllersModule,
        GatewayModule,
        HealthModule,
      ],
      providers: ambient,
      exports: ambient,
    };
  }
}
