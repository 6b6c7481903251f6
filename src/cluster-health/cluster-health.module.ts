import { Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { KubernetesApis } from '../kubernetes/index.js';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { ClusterAccessInput } from './cluster-access-input.js';
import { ClusterAccessSealing } from './cluster-access-sealing.js';
import { ClusterChecks } from './cluster-checks.js';
import { ClusterHealthHistoryRepository } from './cluster-health-history.repository.js';
import { ClusterHealthHistoryService } from './cluster-health-history.service.js';
import { clusterHealthHourSchema } from './cluster-health-hour.schema.js';
import { ClusterHealthMetrics } from './cluster-health.metrics.js';
import { ClusterHealthMonitor } from './cluster-health.monitor.js';
import { clusterHealthSampleSchema } from './cluster-health-sample.schema.js';
import { CLUSTER_PROBER } from './cluster-prober.js';
import { ClusterRequestRates } from './cluster-request-rates.js';
import { clusterSchema } from './cluster.schema.js';
import { ClusterStreamTopics } from './cluster-stream-topics.js';
import { ClusterUniqueness } from './cluster-uniqueness.js';
import { ClustersController } from './clusters.controller.js';
import { ClustersRepository } from './clusters.repository.js';
import { ClustersService } from './clusters.service.js';
import { KubernetesClusterProber } from './kubernetes-cluster-prober.js';

@Module({
  imports: [
    MongooseModule.forFeature([
      { name: 'Cluster', schema: clusterSchema },
      { name: 'ClusterHealthSample', schema: clusterHealthSampleSchema },
      { name: 'ClusterHealthHour', schema: clusterHealthHourSchema },
    ]),
  ],
  controllers: [ClustersController],
  providers: [
    ClustersRepository,
    ClusterHealthHistoryRepository,
    ClusterHealthHistoryService,
    ClusterAccessInput,
    ClusterAccessSealing,
    ClusterUniqueness,
    ClusterRequestRates,
    ClusterChecks,
    ClusterHealthMetrics,
    ClusterHealthMonitor,
    ClusterStreamTopics,
    ClustersService,
    { provide: CLUSTER_PROBER, useClass: KubernetesClusterProber },
  ],
  exports: [ClustersService],
})
export class ClusterHealthModule {
  constructor(
    registry: LifecycleRegistry,
    apis: KubernetesApis,
    clusters: ClustersService,
    monitor: ClusterHealthMonitor,
    topics: ClusterStreamTopics,
  ) {
    apis.bindAccess(clusters);
    topics.register();
    registry.register('monitors', monitor);
  }
}
