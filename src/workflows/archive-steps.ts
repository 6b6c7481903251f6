import { type InventoryEntry, objectOf } from './inventory/inventory-entry.js';
import { pendingStep, type RunStep } from './runs/active-run.js';
import type { StoredWorkflow } from './workflow.js';

/**
 * What an archive run looks at: every object in the inventory, those of nodes that were taken out of the workflow
 * included, and the objects that the definition names and the workflow does not have.
 */
export function archiveSteps(workflow: StoredWorkflow, entries: readonly InventoryEntry[]): RunStep[] {
  const inventoried = entries.map(({ id: entryId, nodeId, group, kind, namespace, name }) =>
    pendingStep(nodeId, { entryId, group, kind, namespace, name }),
  );
  const withEntry = new Set(entries.map(({ nodeId }) => nodeId));
  const others = workflow.nodes.flatMap(({ id, manifest }) => {
    if (withEntry.has(id)) return [];
    const { group, kind, namespace, name } = objectOf(manifest, workflow.namespace);
    return [pendingStep(id, { entryId: null, group, kind, namespace, name })];
  });
  const order = new Map(workflow.nodes.map(({ id }, index) => [id, index]));
  const place = ({ nodeId }: RunStep): number => order.get(nodeId) ?? workflow.nodes.length;
  return [...inventoried, ...others].toSorted((a, b) => place(a) - place(b));
}
