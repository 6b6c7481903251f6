import type { ResourcesService } from '../../watchers/index.js';
import type { InventoryEntry } from '../inventory/inventory-entry.js';
import { type NodeReport, report } from './node-report.js';

/**
 * A Job that has done its work and is gone, because of its TTL or by hand, is not run a second time for the same
 * manifest. null when that is not so.
 */
export async function completedJob(
  resources: Pick<ResourcesService, 'ofWorkflow'>,
  job: {
    readonly workflowId: string;
    readonly entry: InventoryEntry;
    readonly hash: string;
    readonly label: string;
  },
): Promise<NodeReport | null> {
  const { entry, hash, label } = job;
  if (entry.kind !== 'Job' || entry.uid === null || entry.manifestHash !== hash) return null;
  const resource = (await resources.ofWorkflow(job.workflowId)).find(({ nodeId }) => nodeId === entry.nodeId);
  if (resource === undefined || resource.name !== entry.name || resource.kind !== 'Job') return null;
  // What is not live is shown as unknown, with the last known health as the one before.
  const lastKnown = resource.reason === 'Stale' ? resource.previous : resource.health;
  if (lastKnown !== 'completed') return null;
  const message = `${label} has completed and was removed since; it is not run again for the same manifest`;
  return report('unchanged', 'JobCompleted', message);
}
