import { Inject, Injectable, Logger } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../auth/principal.js';
import { PeriodicTasks } from '../lifecycle/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { PeriodicTask } from '../runtime/periodic-task.js';
import type { Runnable } from '../runtime/runnable.js';
import { runPool } from '../runtime/worker-pool.js';
import { ClusterChecks } from './cluster-checks.js';
import { type ClusterHealthConfig, clusterHealthConfig } from './cluster-health.config.js';
import { ClusterHealthMetrics } from './cluster-health.metrics.js';
import { ClustersRepository } from './clusters.repository.js';

/** Checks all clusters again and again: at once, then a period after the end of the sweep before. */
@Injectable()
export class ClusterHealthMonitor implements Runnable {
  readonly name = 'cluster health monitor';
  private readonly log = new Logger(ClusterHealthMonitor.name);
  private readonly task: PeriodicTask;

  constructor(
    private readonly clusters: ClustersRepository,
    private readonly checks: ClusterChecks,
    private readonly metrics: ClusterHealthMetrics,
    @Inject(clusterHealthConfig.token) private readonly config: ClusterHealthConfig,
    @Inject(CLOCK) private readonly clock: Clock,
    tasks: PeriodicTasks,
  ) {
    this.task = tasks.create({
      name: this.name,
      periodMs: config.periodMs,
      firstDelayMs: 0,
      runOnce: (signal) => this.sweep(signal),
      onError: (error) => this.log.error({ message: 'the sweep over the clusters failed', error }),
    });
  }

  start(): Promise<void> {
    return this.task.start();
  }

  /** Also ends the checks that requests have asked for, which would outlast the shutdown. */
  async stop(): Promise<void> {
    await Promise.all([this.task.stop(), this.checks.stop()]);
  }

  /** One round. A cluster whose record or check is broken harms no other. */
  private async sweep(signal: AbortSignal): Promise<void> {
    const began = this.clock.monotonic();
    const ids = await this.clusters.idsInCheckOrder(SYSTEM_SCOPE);
    await runPool(ids, this.config.workers, (id) => this.check(id, signal), signal);
    if (signal.aborted) return;
    this.metrics.recordSweep(this.clock.monotonic() - began, this.clock.now());
  }

  private async check(id: string, signal: AbortSignal): Promise<void> {
    try {
      await this.checks.check(id, { metadata: 'if-stale', signal });
    } catch (error) {
      if (!signal.aborted) this.log.error({ message: 'the check of a cluster failed', clusterId: id, error });
    }
  }
}
