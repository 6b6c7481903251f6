import { AppError } from '../errors/app-error.js';
import type { InventoryEntry } from './inventory/inventory-entry.js';
import type { Run, StoredWorkflow } from './workflow.js';

const MAX_OBJECTS_TOLD = 200;

/** @throws AppError `workflow.run_active` with the run's id. */
export function refuseActiveRun(run: Pick<Run, 'id' | 'kind'> | null): void {
  if (run === null) return;
  throw new AppError('workflow.run_active', `${run.kind} run ${run.id} is in progress; cancel it or wait for its end`, {
    details: { runId: run.id },
  });
}

/** @throws AppError `workflow.not_active`. */
export function refuseInactive({ name, state }: Pick<StoredWorkflow, 'name' | 'state'>): void {
  if (state === 'active') return;
  throw new AppError('workflow.not_active', `workflow ${JSON.stringify(name)} is ${state} and cannot be changed`, {
    details: { state },
  });
}

/** @throws AppError `workflow.in_use` with the objects. `hint` says what to do. */
export function refuseObjects(entries: readonly InventoryEntry[], hint: string): void {
  if (entries.length === 0) return;
  const objects = entries.slice(0, MAX_OBJECTS_TOLD).map(({ nodeId, clusterId, kind, namespace, name, origin }) => ({
    nodeId,
    clusterId,
    kind,
    namespace,
    name,
    origin,
  }));
  const count = entries.length === 1 ? 'one object' : `${entries.length} objects`;
  throw new AppError('workflow.in_use', `the workflow still has ${count}: ${hint}`, {
    details: { objects, objectCount: entries.length },
  });
}

/** @throws AppError `workflow.object_taken` naming workflow and node. */
export function refuseTaken(holder: InventoryEntry, workflowName: string): never {
  const { kind, namespace, name, workflowId, nodeId } = holder;
  throw new AppError(
    'workflow.object_taken',
    `${kind} ${namespace}/${name} belongs to node ${JSON.stringify(nodeId)} of workflow ${JSON.stringify(workflowName)}; ` +
      'remove it here, or archive that workflow first',
    { details: { object: { kind, namespace, name }, workflowId, workflowName, nodeId } },
  );
}

/** @returns AppError `resource.version_conflict` with the current version. */
export function versionConflict(current: Pick<StoredWorkflow, 'name' | 'version'>): AppError {
  return new AppError(
    'resource.version_conflict',
    `workflow ${JSON.stringify(current.name)} has version ${current.version} now; read it again and repeat the change`,
    { details: { currentVersion: current.version } },
  );
}
