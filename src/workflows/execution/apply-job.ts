import type { ObjectMeta, ObjectReference } from '../../kubernetes/index.js';
import type { InventoryEntry, ObjectOrigin } from '../inventory/inventory-entry.js';
import type { ActiveRun, AppliedNode } from '../runs/active-run.js';
import type { Manifest, WorkflowNode } from '../workflow.js';
import { type NodeReport, report } from './node-report.js';
import { type ObjectOwner, wasAppliedByUs } from './object-owner.js';
import type { RunSignals } from './run-driver.js';

export interface ApplyEnd {
  readonly report: NodeReport;
  /** What a wait for health has to look for; null when there is nothing to wait for. */
  readonly applied: AppliedNode | null;
}

/** One try: an end, or a reason to look again. */
export type Try =
  | ({ readonly again: false } & ApplyEnd)
  | { readonly again: true; readonly report: NodeReport; readonly retryAfterMs: number };

/** The apply of one node's object. */
export interface ApplyJob {
  readonly run: ActiveRun;
  readonly node: WorkflowNode;
  readonly owner: ObjectOwner;
  readonly reference: ObjectReference;
  /** `ConfigMap shop/settings` */
  readonly label: string;
  /** As it is stored now: a try may change it for the next one. */
  entry: InventoryEntry;
  readonly manifest: Manifest;
  readonly hash: string;
  readonly signals: RunSignals;
}

/** Whether we made the object. One under a claim without a UID is ours if we have applied to it: the answer was lost. */
export function originOf(entry: InventoryEntry, existing: ObjectMeta): ObjectOrigin {
  if (entry.uid === existing.uid && entry.origin !== null) return entry.origin;
  return entry.uid === null && wasAppliedByUs(existing) ? 'created' : 'adopted';
}

/** A run that was cut after its apply finds its own work done: what it had come to is what is told. */
export function truthfulOutcome(
  outcome: AppliedNode['outcome'],
  { entry, run, hash }: ApplyJob,
  origin: ObjectOrigin,
  uid: string,
): AppliedNode['outcome'] {
  if (outcome !== 'unchanged') return outcome;
  if (entry.lastApply?.runId === run.id) return entry.lastApply.outcome;
  if (entry.uid !== uid && origin === 'created') return 'created';
  return entry.manifestHash !== hash && entry.manifestHash !== null ? 'configured' : 'unchanged';
}

export function ended(end: NodeReport): ApplyEnd {
  return { report: end, applied: null };
}

export function again(reason: string, message: string): Try {
  return { again: true, report: report('failed', reason, message), retryAfterMs: 0 };
}
