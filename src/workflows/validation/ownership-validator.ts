import { Inject, Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { DatabaseConnection } from '../../database/index.js';
import { findKind, getMetadata, KubernetesApiError, KubernetesApis, type ObjectMeta } from '../../kubernetes/index.js';
import { counted } from '../../runtime/counted.js';
import { describeObject } from '../execution/node-report.js';
import { foreignManagers, isOwnedBy } from '../execution/object-owner.js';
import { type InventoryEntry, objectOf } from '../inventory/inventory-entry.js';
import { InventoryRepository } from '../inventory/inventory.repository.js';
import type { StoredWorkflow, WorkflowNode } from '../workflow.js';
import { WorkflowsRepository } from '../workflows.repository.js';
import { askingCluster, atEachNode, type ClusterApis } from './asking-cluster.js';
import { errorProblem, warningProblem } from './problem.js';
import type { Finding, Problem, ValidateWorkflow, Validator } from './validator.js';

/** Whether each object is free or this workflow's: what a run would end as `exists`. */
@Injectable()
export class OwnershipValidator implements Validator {
  readonly name = 'ownership';

  constructor(
    @Inject(KubernetesApis) private readonly apis: ClusterApis,
    @Inject(DatabaseConnection)
    private readonly database: { readonly installation: { readonly installationId: string } },
    private readonly inventory: InventoryRepository,
    private readonly workflows: WorkflowsRepository,
  ) {}

  async validate({ workflow }: ValidateWorkflow, signal: AbortSignal): Promise<Finding> {
    const { installationId } = this.database.installation;
    const held = await this.heldByOthers(workflow);
    const looked = await askingCluster(this.apis, workflow, signal, async (api) => {
      const problems = await atEachNode(workflow, signal, async (node, ended) => {
        const definition = findKind(node.manifest.kind);
        if (definition === undefined || held.has(node.id)) return [];
        const object = objectOf(node.manifest, workflow.namespace);
        const label = describeObject(object);
        try {
          const existing = await getMetadata(api, { ...object, definition }, ended);
          if (existing === undefined) return [];
          const isOurs = isOwnedBy(existing, { installationId, workflowId: workflow.id });
          return isOurs ? whileTerminating(node, label, existing) : [foreign(node, label, existing)];
        } catch (error) {
          if (!(error instanceof KubernetesApiError) || error.failure !== 'forbidden') throw error;
          return [warningProblem(`not allowed to look whose ${label} is`, { nodeId: node.id, hint: SEE_RIGHTS })];
        }
      });
      return { summary: counted(workflow.nodes.length, 'object'), problems };
    });
    return { ...looked, problems: [...held.values(), ...looked.problems] };
  }

  /** By node. Asked for all tenants, as the claim of a run is. */
  private async heldByOthers(workflow: StoredWorkflow): Promise<Map<string, Problem>> {
    const supported = workflow.nodes.filter(({ manifest }) => findKind(manifest.kind) !== undefined);
    const objects = supported.map(({ manifest }) => objectOf(manifest, workflow.namespace));
    const holders = await this.inventory.heldByOthers(SYSTEM_SCOPE, workflow, objects);
    const names = await this.workflows.names(
      SYSTEM_SCOPE,
      holders.map(({ workflowId }) => workflowId),
    );
    const problems = supported.flatMap((node, index): Array<[string, Problem]> => {
      const object = objects[index];
      const holder = holders.find(({ kind, name }) => kind === object?.kind && name === object.name);
      return holder === undefined ? [] : [[node.id, taken(node, holder, names.get(holder.workflowId))]];
    });
    return new Map(problems);
  }
}

const SEE_RIGHTS = 'see the verdict of rights';

function taken(node: WorkflowNode, holder: InventoryEntry, workflowName: string | undefined): Problem {
  const owner = workflowName === undefined ? holder.workflowId : JSON.stringify(workflowName);
  const message = `${describeObject(holder)} belongs to node ${JSON.stringify(holder.nodeId)} of workflow ${owner}`;
  return errorProblem(message, { nodeId: node.id, hint: 'take it out here, or archive that workflow first' });
}

function foreign(node: WorkflowNode, label: string, existing: ObjectMeta): Problem {
  const managers = foreignManagers(existing);
  const whose = managers.length === 0 ? 'nobody has signed it' : `it is managed by ${managers.join(', ')}`;
  const hint = 'delete it, or take it out of the workflow';
  return errorProblem(`${label} exists and is not this workflow's: ${whose}`, { nodeId: node.id, hint });
}

function whileTerminating(
  node: WorkflowNode,
  label: string,
  { deletionTimestamp, finalizers = [] }: ObjectMeta,
): Problem[] {
  if (deletionTimestamp === undefined) return [];
  const waitsFor = finalizers.length === 0 ? '' : `; it waits for the finalizers ${finalizers.join(', ')}`;
  return [warningProblem(`${label} is being deleted${waitsFor}`, { nodeId: node.id, hint: 'execute once it is gone' })];
}
