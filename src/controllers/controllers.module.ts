import { Module, type Provider, type Type } from '@nestjs/common';
import type { Registry } from 'prom-client';
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
import type { Reconciler } from './reconciler.js';
import { JobRecoveryReconciler } from './reconcilers/job-recovery.reconciler.js';
import { QueuePriorityReconciler } from './reconcilers/queue-priority.reconciler.js';

/** Every reconciler there is; the rooms whose sweeps they call export what they need. */
const RECONCILERS: readonly Type<Reconciler>[] = [JobRecoveryReconciler, QueuePriorityReconciler];

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
  imports: [JobsModule],
  controllers: [ControllersController],
  providers: [
    ControllerManager,
    ControllerRecordsRepository,
    ControllersService,
    ControllerWatchdog,
    metrics,
    registered,
    ...RECONCILERS,
  ],
  exports: [ControllerManager, ControllerWatchdog],
})
export class ControllersModule {
  constructor(lifecycle: LifecycleRegistry, manager: ControllerManager, watchdog: ControllerWatchdog) {
    lifecycle.register('monitors', manager);
    lifecycle.register('monitors', watchdog);
  }
}
