import { Inject, Injectable } from '@nestjs/common';
import { Gauge, type Registry } from 'prom-client';
import { METRICS_REGISTRY } from '../metrics/index.js';
import { StatusWriter } from './tracking/status-writer.js';
import { TrackedResources } from './tracking/tracked-resources.js';
import { WatchedClusters } from './watched-clusters.js';
import { WatcherManager } from './watcher-manager.js';

/** `crowsnest_watch*`: read when asked, so that nothing is counted twice or for ever. */
@Injectable()
export class WatchersMetrics {
  constructor(
    @Inject(METRICS_REGISTRY) registry: Registry,
    manager: WatcherManager,
    clusters: WatchedClusters,
    tracked: TrackedResources,
    writer: StatusWriter,
  ) {
    const registers = [registry];
    new Gauge({
      name: 'crowsnest_watches',
      help: 'Running watches by kind and state.',
      labelNames: ['kind', 'state'],
      registers,
      collect() {
        this.reset();
        for (const { kind, state } of manager.watches()) this.inc({ kind, state });
      },
    });
    new Gauge({
      name: 'crowsnest_watched_objects',
      help: 'Objects of clusters that are held in memory, each reduced to a record.',
      registers,
      collect() {
        this.set([...clusters.entries()].reduce((sum, [, { index }]) => sum + index.size, 0));
      },
    });
    new Gauge({
      name: 'crowsnest_tracked_resources',
      help: 'Resources of workflows by the freshness of their status.',
      labelNames: ['freshness'],
      registers,
      collect() {
        this.reset();
        for (const { document } of tracked.all()) this.inc({ freshness: document.freshness });
      },
    });
    new Gauge({
      name: 'crowsnest_status_writes_pending',
      help: 'Changed statuses that the database does not have yet; at most one for each resource.',
      registers,
      collect() {
        this.set(writer.pending);
      },
    });
  }
}
