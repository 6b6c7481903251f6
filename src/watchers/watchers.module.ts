import { Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { ClusterHealthModule } from '../cluster-health/index.js';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { FreshnessReset } from './freshness-reset.js';
import { RegisteredClusterSources } from './registered-cluster-sources.js';
import { ResourceStreamTopics } from './resource-stream-topics.js';
import { ResourcesController } from './resources.controller.js';
import { ResourcesService } from './resources.service.js';
import { StatusTracker } from './status-tracker.js';
import { FreshnessWriter } from './tracking/freshness-writer.js';
import { ResourceChanges } from './tracking/resource-changes.js';
import { ResourceHistoryRepository } from './tracking/resource-history.repository.js';
import { RESOURCE_HISTORY_MODEL, resourceHistorySchema } from './tracking/resource-history.schema.js';
import { RESOURCE_MODEL, resourceSchema } from './tracking/resource.schema.js';
import { ResourcesRepository } from './tracking/resources.repository.js';
import { SightingWaiters } from './tracking/sighting-waiters.js';
import { StatusWriter } from './tracking/status-writer.js';
import { TrackedResources } from './tracking/tracked-resources.js';
import { WATCH_SOURCES } from './watch-sources.js';
import { WatchedClusters } from './watched-clusters.js';
import { WatcherManager } from './watcher-manager.js';
import { WatchersController } from './watchers.controller.js';
import { WatchersMetrics } from './watchers.metrics.js';

@Module({
  imports: [
    ClusterHealthModule,
    MongooseModule.forFeature([
      { name: RESOURCE_MODEL, schema: resourceSchema },
      { name: RESOURCE_HISTORY_MODEL, schema: resourceHistorySchema },
    ]),
  ],
  controllers: [ResourcesController, WatchersController],
  providers: [
    ResourcesRepository,
    ResourceHistoryRepository,
    TrackedResources,
    SightingWaiters,
    ResourceChanges,
    WatchedClusters,
    StatusWriter,
    FreshnessWriter,
    StatusTracker,
    { provide: WATCH_SOURCES, useClass: RegisteredClusterSources },
    WatcherManager,
    FreshnessReset,
    ResourceStreamTopics,
    ResourcesService,
    WatchersMetrics,
  ],
  exports: [ResourcesService],
})
export class WatchersModule {
  constructor(
    registry: LifecycleRegistry,
    reset: FreshnessReset,
    manager: WatcherManager,
    topics: ResourceStreamTopics,
    _metrics: WatchersMetrics,
  ) {
    topics.register();
    registry.register('recovery', reset);
    registry.register('watchers', manager);
  }
}
