import { Module, type Provider, type Type } from '@nestjs/common';
import type { Registry } from 'prom-client';
import { AgentsModule } from '../agents/index.js';
import { AuditModule } from '../audit/index.js';
import { JobsModule } from '../jobs/index.js';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { METRICS_REGISTRY } from '../metrics/index.js';
import { ControllerManager } from './controller-manager.js';
import { CONTROLLER_METRICS } from './controller-metrics.js';
import { ControllerRecordsRepository } from './controller-records.repository.js';
import { ControllerWatchdog } from './controller-watchdog.js';
import { ControllersController } from './controllers.controller.js';
import { ControllersService } from './controllers.service.js';
import { PrometheusControllerMetrics } from './prometheus-controller-metrics.js';
import { ReconcileAudit } from './reconcile-audit.js';
import type { Reconciler } from './reconciler.js';
import { AgentHealthReconciler } from './reconcilers/agent-health.reconciler.js';
import { AuditRetentionReconciler } from './reconcilers/audit-retention.reconciler.js';
import { AuditSealingReconciler } from './reconcilers/audit-sealing.reconciler.js';
import { JobRecoveryReconciler } from './reconcilers/job-recovery.reconciler.js';
import { QueuePriorityReconciler } from './reconcilers/queue-priority.reconciler.js';
import { TokenCleanupReconciler } from './reconcilers/token-cleanup.reconciler.js';

/** Every reconciler there is; the rooms whose sweeps they call export what they need. */
const RECONCILERS: readonly Type<Reconciler>[] = [
  AgentHealthReconciler,
  TokenCleanupReconciler,
  JobRecoveryReconciler,
  QueuePriorityReconciler,
  AuditSealingReconciler,
  AuditRetentionReconciler,
];

const REGISTERED = Symbol('registered reconcilers');

const metrics: Provider = {
  provide: CONTROLLER_METRICS,
  useFactory: (registry: Registry) => new PrometheusControllerMetrics(registry, 'crowsnest'),
  inject: [METRICS_REGISTRY],
};

const registered: Provider = {
  provide: REGISTERED,
  useFactory: (manager: ControllerManager, ...reconcilers: Reconciler[]) => {
    for (const reconciler of reconcilers) manager.register(reconciler);
    return reconcilers;
  },
  inject: [ControllerManager, ...RECONCILERS],
};

@Module({
  imports: [AgentsModule, AuditModule, JobsModule],
  controllers: [ControllersController],
  providers: [
    ControllerManager,
    ControllerRecordsRepository,
    ControllersService,
    ControllerWatchdog,
    ReconcileAudit,
    metrics,
    registered,
    ...RECONCILERS,
  ],
  exports: [ControllerManager, ControllerWatchdog],
})
export class ControllersModule {
  constructor(
    lifecycle: LifecycleRegistry,
    manager: ControllerManager,
    watchdog: ControllerWatchdog,
    audit: ReconcileAudit,
  ) {
    audit.register();
    lifecycle.register('monitors', manager);
    lifecycle.register('monitors', watchdog);
  }
}
