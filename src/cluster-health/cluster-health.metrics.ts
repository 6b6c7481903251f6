import { Inject, Injectable, Logger } from '@nestjs/common';
import { Gauge, Histogram, type Registry } from 'prom-client';
import { METRICS_REGISTRY } from '../metrics/index.js';
import { ClustersRepository } from './clusters.repository.js';

const MAX_CLUSTERS = 1_000;

/** `crowsnest_cluster_*`. Whether a cluster is up is read when asked, so that a removed or renamed one is gone. */
@Injectable()
export class ClusterHealthMetrics {
  private readonly log = new Logger(ClusterHealthMetrics.name);
  private readonly checks: Histogram<'result'>;
  private readonly sweeps: Histogram;
  private readonly lastSweep: Gauge;

  constructor(@Inject(METRICS_REGISTRY) registry: Registry, clusters: ClustersRepository) {
    const registers = [registry];
    const log = this.log;
    new Gauge({
      name: 'crowsnest_cluster_up',
      help: `Whether the last check could use the cluster; the newest ${MAX_CLUSTERS} clusters.`,
      labelNames: ['tenant', 'cluster'],
      registers,
      async collect() {
        this.reset();
        try {
          for (const { tenantId, name, reachable } of await clusters.newestStates(MAX_CLUSTERS)) {
            if (reachable !== null) this.set({ tenant: tenantId, cluster: name }, reachable ? 1 : 0);
          }
        } catch (error) {
          // The other metrics are wanted most when the database is away.
          log.warn({ message: 'the clusters could not be read for metrics', error });
        }
      },
    });
    this.checks = new Histogram({
      name: 'crowsnest_cluster_check_duration_seconds',
      help: 'Time of one check of one cluster, without its metadata.',
      labelNames: ['result'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    this.sweeps = new Histogram({
      name: 'crowsnest_cluster_sweep_duration_seconds',
      help: 'Time of one sweep over all clusters.',
      buckets: [0.1, 0.5, 1, 5, 10, 30, 60, 120, 300],
      registers,
    });
    this.lastSweep = new Gauge({
      name: 'crowsnest_cluster_last_sweep_timestamp_seconds',
      help: 'When the last complete sweep ended.',
      registers,
    });
  }

  recordCheck(reachable: boolean, elapsedMs: number): void {
    this.checks.observe({ result: reachable ? 'reachable' : 'unreachable' }, elapsedMs / 1_000);
  }

  recordSweep(elapsedMs: number, endedAtMs: number): void {
    this.sweeps.observe(elapsedMs / 1_000);
    this.lastSweep.set(endedAtMs / 1_000);
  }
}
