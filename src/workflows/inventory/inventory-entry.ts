import { findKind } from '../../kubernetes/kinds.js';
import type { Manifest } from '../workflow.js';

/** What names one object in a cluster. */
export interface ObjectKey {
  /** API group, '' for the core group. */
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Whether the object is ours to delete: made by us, or there before and taken over. */
export type ObjectOrigin = 'created' | 'adopted';

/** One object of one workflow. There from before the first apply until the object is gone or given up. */
export interface InventoryEntry extends ObjectKey {
  readonly id: string;
  readonly tenantId: string;
  readonly workflowId: string;
  readonly nodeId: string;
  readonly clusterId: string;
  /** API version without the group. */
  readonly version: string;
  /** null until the API server has answered an apply. */
  readonly uid: string | null;
  /** null until known, together with `uid`. */
  readonly origin: ObjectOrigin | null;
  /** Revision of the workflow that was last applied, or was about to be. */
  readonly revision: number;
  readonly claimedAt: string;
  readonly appliedAt: string | null;
  /** SHA-256 of the stored manifest that was last applied; null before. */
  readonly manifestHash: string | null;
  /** What the last run that applied it came to: a run that was cut short after that takes it as its own. */
  readonly lastApply: LastApply | null;
}

export interface LastApply {
  readonly runId: string;
  readonly outcome: 'created' | 'configured' | 'unchanged';
}

/** The object that a checked manifest describes, in the workflow's namespace. */
export function objectOf(manifest: Manifest, namespace: string): ObjectKey & { readonly version: string } {
  const kind = findKind(manifest.kind);
  if (kind === undefined) throw new Error(`${manifest.kind} passed the checks without being supported`);
  return { group: kind.group, version: kind.version, kind: kind.kind, namespace, name: manifest.metadata.name };
}
