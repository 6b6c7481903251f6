import { Inject, Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../auth/principal.js';
import { type ClusterObject, ClustersService, type ClusterUsage } from '../cluster-health/index.js';
import { ResourcesService } from '../watchers/index.js';
import { InventoryRepository } from './inventory/inventory.repository.js';
import { WorkflowsRepository } from './workflows.repository.js';

/** Tells the clusters which objects workflows have in them. Asked for clusters that were checked before: for all tenants. */
@Injectable()
export class WorkflowClusterUsage implements ClusterUsage {
  constructor(
    private readonly workflows: WorkflowsRepository,
    private readonly inventory: InventoryRepository,
    @Inject(ResourcesService) private readonly resources: Pick<ResourcesService, 'forget'>,
    @Inject(ClustersService) clusters: Pick<ClustersService, 'registerUsage'>,
  ) {
    clusters.registerUsage(this);
  }

  async objectsOf(clusterId: string): Promise<ClusterObject[]> {
    const entries = await this.inventory.ofCluster(SYSTEM_SCOPE, clusterId);
    const workflowIds = [...new Set(entries.map(({ workflowId }) => workflowId))];
    const names = await this.workflows.names(SYSTEM_SCOPE, workflowIds);
    return entries.map(({ workflowId, kind, namespace, name }) => ({
      workflowId,
      workflowName: names.get(workflowId) ?? workflowId,
      kind,
      namespace,
      name,
    }));
  }

  async abandon(clusterId: string): Promise<void> {
    await this.inventory.releaseCluster(SYSTEM_SCOPE, clusterId);
    for (const workflowId of await this.workflows.idsOfCluster(SYSTEM_SCOPE, clusterId)) {
      await this.resources.forget(workflowId);
    }
  }
}
