import type { ObjectKey } from '../inventory/inventory-entry.js';
import type { NodeOutcome, Run, RunNode, WorkflowDefinition } from '../workflow.js';

/** What an archive run does with the objects. */
export type ArchiveMode = 'delete' | 'keep';

/** The workflow as it was when the run began: a PUT in between does not change the run. Secret values are sealed. */
export interface RunDefinition extends WorkflowDefinition {
  readonly workflowName: string;
}

/** What the API server answered to the apply of a node that now waits for its health. */
export interface AppliedNode {
  readonly outcome: 'created' | 'configured' | 'unchanged';
  readonly resourceId: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** The object that an archive run is about. */
export interface ArchiveTarget extends ObjectKey {
  /** Its inventory entry; null when the workflow has none for it, so that it can only be looked at. */
  readonly entryId: string | null;
}

/** A node of a run with what only the executor needs. */
export interface RunStep extends RunNode {
  readonly applied: AppliedNode | null;
  /** Until when its health, or its end, is waited for; RFC 3339. */
  readonly waitUntil: string | null;
  readonly target: ArchiveTarget | null;
}

/** A run in progress with all that is needed to go on with it, also by another process. */
export interface ActiveRun extends Run {
  readonly nodes: readonly RunStep[];
  readonly definition: RunDefinition;
  readonly archiveMode: ArchiveMode | null;
  readonly cancelRequested: boolean;
}

/** One node's next state; stored only if its outcome still is `from`. */
export interface StepChange {
  readonly index: number;
  readonly from: NodeOutcome;
  readonly to: Partial<RunStep> & { readonly outcome: NodeOutcome };
}

/** A node that nothing has happened to yet. */
export function pendingStep(nodeId: string, target: ArchiveTarget | null = null): RunStep {
  return {
    nodeId,
    outcome: 'pending',
    reason: null,
    message: null,
    fields: [],
    managers: [],
    startedAt: null,
    endedAt: null,
    applied: null,
    waitUntil: null,
    target,
  };
}
