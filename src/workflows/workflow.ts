import type { Health } from '../watchers/resource.js';

/** A Kubernetes object as the user wrote it. `data`/`stringData` of Secrets are sealed before it is stored. */
export type Manifest = Readonly<Record<string, unknown>> & {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string };
};

export interface WorkflowNode {
  /** DNS label, unique within the workflow. */
  readonly id: string;
  readonly manifest: Manifest;
  /** How long an edge with `waitFor: healthy` waits for this node; at most and by default 600 000. */
  readonly timeoutMs: number;
}

export interface WorkflowEdge {
  readonly source: string;
  readonly target: string;
  /** `applied`: the API server took the source; `healthy`: the source became healthy or completed. */
  readonly waitFor: 'applied' | 'healthy';
}

export interface WorkflowDefinition {
  readonly clusterId: string;
  readonly namespace: string;
  readonly onFailure: 'stop' | 'continue';
  readonly nodes: readonly WorkflowNode[];
  readonly edges: readonly WorkflowEdge[];
}

export const WORKFLOW_STATES = ['active', 'archiving', 'archived'] as const;
/** `archiving` while the archive run lasts, `archived` after it: nothing of it is watched any more. */
export type WorkflowState = (typeof WORKFLOW_STATES)[number];

/** What is stored of a workflow itself. */
export interface StoredWorkflow extends WorkflowDefinition {
  readonly id: string;
  /** Its cluster's. */
  readonly tenantId: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: WorkflowState;
  /** Grows with every PUT that changes the definition; runs name the revision they applied. */
  readonly revision: number;
  /** Grows with every change of the stored object; `PUT` carries it. */
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
}

/** How a workflow is, summed up from its resources and runs. */
export interface WorkflowStatus {
  /** Worst health of its resources; null before the first execution. */
  readonly health: Health | null;
  readonly since: string | null;
  /** Resources by health, only those above zero. */
  readonly counts: Readonly<Partial<Record<Health, number>>>;
  readonly lastRun: RunSummary | null;
}

export interface Workflow extends StoredWorkflow, WorkflowStatus {}

/** A workflow in lists: without the nodes and edges, of which one workflow may have a megabyte. */
export interface WorkflowSummary extends Omit<StoredWorkflow, 'nodes' | 'edges'>, WorkflowStatus {
  readonly nodeCount: number;
}

export const RUN_STATES = ['running', 'succeeded', 'failed', 'cancelled'] as const;
export type RunState = (typeof RUN_STATES)[number];

/** What became of one node in a run. */
export const NODE_OUTCOMES = [
  'pending', // not reached yet
  'applying', // the request is on its way, or was when the service died
  'waiting', // applied; an edge waits for its health
  'created',
  'configured',
  'unchanged',
  'exists', // an object that is not ours has the name: left alone
  'conflict', // another field manager owns a field: left alone
  'immutable', // Kubernetes does not let a field change
  'failed',
  'timed-out', // applied, but not healthy in time
  'skipped', // something before it failed, or the run was cancelled
  'deleting',
  'deleted',
  'kept', // archive: not ours to delete
  'remains', // archive: still there at the end, with its finalizers named
] as const;
export type NodeOutcome = (typeof NODE_OUTCOMES)[number];

export interface RunNode {
  readonly nodeId: string;
  readonly outcome: NodeOutcome;
  /** CamelCase or an error code; null when there is nothing to say. */
  readonly reason: string | null;
  /** What happened and what to do; never another system's raw text about a Secret. */
  readonly message: string | null;
  /** Wrong or contested fields, as Kubernetes names them. */
  readonly fields: readonly string[];
  /** Field managers or owners in the way. */
  readonly managers: readonly string[];
  readonly startedAt: string | null;
  readonly endedAt: string | null;
}

export interface RunSummary {
  readonly id: string;
  readonly kind: 'execute' | 'archive';
  readonly state: RunState;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

export interface Run extends RunSummary {
  readonly tenantId: string;
  readonly workflowId: string;
  /** The workflow's revision that was applied. */
  readonly revision: number;
  readonly nodes: readonly RunNode[];
  readonly message: string | null;
  /** Grows with every stored change. */
  readonly version: number;
  readonly createdBy: string;
}
