import type { WorkflowDefinition } from '../gen/flowwatch/v1/types_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';

export interface ListedWorkflow {
  readonly subsystem: Subsystem;
  readonly workflow: WorkflowDefinition;
}

/** Where a workflow stands in the list of all. */
export interface WorkflowKey {
  readonly name: string;
  readonly subsystemId: string;
  readonly id: string;
}

export interface WorkflowPage {
  readonly items: readonly ListedWorkflow[];
  /** Where the next page goes on; undefined behind the last. */
  readonly upTo: WorkflowKey | undefined;
}

export function workflowKey({ subsystem, workflow }: ListedWorkflow): WorkflowKey {
  return { name: workflow.name, subsystemId: subsystem.id, id: workflow.id };
}

/** By name, then subsystem, then id. */
export function compareWorkflowKeys(a: WorkflowKey, b: WorkflowKey): number {
  return compareText(a.name, b.name) || compareText(a.subsystemId, b.subsystemId) || compareText(a.id, b.id);
}

/**
 * The next of them behind `after`. Since a page goes on from a key, what joins or leaves meanwhile neither repeats nor
 * hides any other.
 */
export function workflowPage(
  listed: readonly ListedWorkflow[],
  after: WorkflowKey | undefined,
  limit: number,
): WorkflowPage {
  const keyed = listed.map((item) => ({ item, key: workflowKey(item) }));
  const left = keyed.filter(({ key }) => after === undefined || compareWorkflowKeys(key, after) > 0);
  const page = left.toSorted((a, b) => compareWorkflowKeys(a.key, b.key)).slice(0, limit);
  return { items: page.map(({ item }) => item), upTo: left.length > page.length ? page.at(-1)?.key : undefined };
}

/** Ids that more than one of the subsystems have. */
export function sharedWorkflowIds(listed: readonly ListedWorkflow[]): ReadonlySet<string> {
  const owners = new Map<string, Subsystem>();
  const shared = new Set<string>();
  for (const { subsystem, workflow } of listed) {
    const owner = owners.get(workflow.id);
    if (owner && owner !== subsystem) shared.add(workflow.id);
    owners.set(workflow.id, subsystem);
  }
  return shared;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
