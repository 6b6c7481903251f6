import { Inject, Injectable } from '@nestjs/common';
import { Gauge, type Registry } from 'prom-client';
import { SYSTEM_SCOPE } from '../auth/principal.js';
import { ClustersService } from '../cluster-health/index.js';
import { METRICS_REGISTRY } from '../metrics/metrics-registry.js';
import { ResourcesService } from '../watchers/index.js';
import { WorkflowsRepository } from './workflows.repository.js';

/** Workflows with a series of their own; the others are summed up, so that the number of series stays bounded. */
export const MAX_WORKFLOW_SERIES = 1_000;
const BATCH = 200;

interface MeasuredWorkflow {
  readonly clusterId: string;
  readonly namespace: string;
  readonly name: string;
  readonly health: string;
}

/** The health of workflows, read at the moment of the scrape. */
@Injectable()
export class WorkflowsMetrics {
  constructor(
    @Inject(METRICS_REGISTRY) registry: Registry,
    private readonly workflows: WorkflowsRepository,
    @Inject(ResourcesService) private readonly resources: Pick<ResourcesService, 'healthOf'>,
    @Inject(ClustersService) private readonly clusters: Pick<ClustersService, 'get'>,
  ) {
    const gauge: Gauge<'cluster' | 'namespace' | 'workflow' | 'health'> = new Gauge({
      name: 'crowsnest_workflow_health',
      help:
        '1 for the health that an active workflow has, which is the worst of its resources; "none" before its first ' +
        `execution. The newest ${MAX_WORKFLOW_SERIES} have a series each, all older ones are counted in series with ` +
        'empty cluster, namespace and workflow.',
      labelNames: ['cluster', 'namespace', 'workflow', 'health'],
      registers: [registry],
      collect: async () => {
        const measured = await this.measure();
        const clusterNames = await this.clusterNames(measured.slice(0, MAX_WORKFLOW_SERIES));
        gauge.reset();
        measured.forEach(({ clusterId, namespace, name, health }, index) => {
          const own = index < MAX_WORKFLOW_SERIES;
          const labels = own
            ? { cluster: clusterNames.get(clusterId) ?? '', namespace, workflow: name, health }
            : { cluster: '', namespace: '', workflow: '', health };
          // Added and not set: workflows of two tenants may have all names in common.
          gauge.inc(labels, 1);
        });
      },
    });
  }

  private async measure(): Promise<MeasuredWorkflow[]> {
    const measured: MeasuredWorkflow[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await this.workflows.list(SYSTEM_SCOPE, { state: ['active'] }, { cursor, limit: BATCH });
      const healths = await this.resources.healthOf(page.map(({ _id }) => _id.toHexString()));
      for (const { _id, clusterId, namespace, name } of page) {
        const health = healths.get(_id.toHexString())?.health ?? 'none';
        measured.push({ clusterId: clusterId.toHexString(), namespace, name, health });
      }
      if (page.length < BATCH) return measured;
      cursor = page.at(-1)?._id.toHexString();
    }
  }

  /** Names by id; empty of a cluster that was removed. */
  private async clusterNames(measured: readonly MeasuredWorkflow[]): Promise<Map<string, string>> {
    const ids = [...new Set(measured.map(({ clusterId }) => clusterId))];
    const clusters = await Promise.allSettled(ids.map((id) => this.clusters.get(SYSTEM_SCOPE, id)));
    return new Map(
      clusters.map((cluster, index) => {
        const id = ids[index] ?? '';
        return [id, cluster.status === 'fulfilled' ? cluster.value.name : ''];
      }),
    );
  }
}
