import { assessed, type Assessment } from './extract-context.js';
import type { SlimMetadata } from './slim-metadata.js';

/** After this long a deletion is told as stuck. */
const STUCK_AFTER_MS = 5 * 60_000;

/** How an object that is being deleted is; null for one that is not. Says what holds it: finalizers, or a silent node. */
export function assessDeletion(object: SlimMetadata, now: number, node: string | null = null): Assessment | null {
  if (object.deletedAt === null) return null;
  const remaining = object.deletedAt + STUCK_AFTER_MS - now;
  const since = new Date(object.deletedAt).toISOString();
  if (remaining > 0) return assessed('terminating', 'Terminating', `is being deleted since ${since}`, remaining);
  const holder = heldBy(object.finalizers, node);
  return assessed('terminating', 'StuckTerminating', `is being deleted since ${since} and has not gone: ${holder}`);
}

function heldBy(finalizers: readonly string[], node: string | null): string {
  if (finalizers.length > 0) return `waits for its finalizers ${finalizers.join(', ')}`;
  return node === null
    ? 'has no finalizers, its grace period or its dependents hold it'
    : `node ${node} has not ended it`;
}
