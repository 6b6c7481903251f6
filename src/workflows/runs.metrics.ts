import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { METRICS_REGISTRY } from '../metrics/metrics-registry.js';
import type { Run } from './workflow.js';

/** Counts of runs and of what became of their nodes. */
@Injectable()
export class RunsMetrics {
  private readonly active: Gauge;
  private readonly runs: Counter<'kind' | 'state'>;
  private readonly nodes: Counter<'kind' | 'outcome'>;
  private readonly durations: Histogram<'kind'>;

  constructor(@Inject(METRICS_REGISTRY) registry: Registry) {
    const registers = [registry];
    this.active = new Gauge({
      name: 'crowsnest_workflow_runs_active',
      help: 'Runs in progress, those included that wait for a place.',
      registers,
    });
    this.runs = new Counter({
      name: 'crowsnest_workflow_runs_total',
      help: 'Runs that have ended, by kind and state.',
      labelNames: ['kind', 'state'],
      registers,
    });
    this.nodes = new Counter({
      name: 'crowsnest_workflow_run_nodes_total',
      help: 'Nodes of runs that have ended, by what became of them.',
      labelNames: ['kind', 'outcome'],
      registers,
    });
    this.durations = new Histogram({
      name: 'crowsnest_workflow_run_duration_seconds',
      help: 'From the request of a run to its end.',
      labelNames: ['kind'],
      buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600],
      registers,
    });
  }

  inProgress(count: number): void {
    this.active.set(count);
  }

  ended({ kind, state, nodes, startedAt, endedAt }: Run): void {
    this.runs.inc({ kind, state });
    for (const { outcome } of nodes) this.nodes.inc({ kind, outcome });
    if (endedAt !== null) this.durations.observe({ kind }, (Date.parse(endedAt) - Date.parse(startedAt)) / 1_000);
  }
}
