import mongoose from 'mongoose';
import type { Types } from 'mongoose';
import { schemaOptions } from '../database/schema-options.js';
import type { StoredLabel } from '../http/labels.js';
import {
  type Manifest,
  type StoredWorkflow,
  WORKFLOW_STATES,
  type WorkflowEdge,
  type WorkflowState,
} from './workflow.js';

export interface NodeDocument {
  readonly id: string;
  /** Canonical JSON, because manifests have keys with dots and dollars; the values of a Secret are sealed within it. */
  readonly manifest: string;
  readonly timeoutMs: number;
}

export interface WorkflowDocument {
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  readonly name: string;
  readonly labels: readonly StoredLabel[];
  readonly clusterId: Types.ObjectId;
  readonly namespace: string;
  readonly onFailure: 'stop' | 'continue';
  readonly nodes: readonly NodeDocument[];
  readonly edges: readonly WorkflowEdge[];
  readonly state: WorkflowState;
  /** Its deletion has begun: nobody finds it any more, and the next start ends what a crash left undone. */
  readonly deleting: boolean;
  readonly revision: number;
  readonly version: number;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
}

const { Schema } = mongoose;
const nested = { _id: false, id: false, strict: 'throw' } as const;
const text = { type: String, required: true } as const;
const integer = { type: Number, required: true } as const;

export const workflowSchema = new Schema<WorkflowDocument>(
  {
    tenantId: text,
    name: text,
    labels: { type: [new Schema({ key: text, value: { type: String } }, nested)], required: true },
    clusterId: { type: Schema.Types.ObjectId, required: true },
    namespace: text,
    onFailure: { ...text, enum: ['stop', 'continue'] },
    nodes: { type: [new Schema({ id: text, manifest: text, timeoutMs: integer }, nested)], required: true },
    edges: {
      type: [new Schema({ source: text, target: text, waitFor: { ...text, enum: ['applied', 'healthy'] } }, nested)],
      required: true,
    },
    state: { ...text, enum: WORKFLOW_STATES },
    deleting: { type: Boolean, required: true },
    revision: integer,
    version: integer,
    createdAt: { type: Date, required: true },
    createdBy: text,
    updatedAt: { type: Date, required: true },
  },
  schemaOptions('workflows'),
);

/** What lists read of a workflow: all but the manifests and edges. */
export type ListedWorkflowDocument = Omit<WorkflowDocument, 'nodes' | 'edges'> & {
  readonly nodes: ReadonlyArray<Pick<NodeDocument, 'id'>>;
};

/** What both the whole and the listed workflow show. */
export function fromDocument(document: ListedWorkflowDocument): Omit<StoredWorkflow, 'nodes' | 'edges'> {
  return {
    id: document._id.toHexString(),
    tenantId: document.tenantId,
    name: document.name,
    labels: Object.fromEntries(document.labels.map(({ key, value }) => [key, value])),
    clusterId: document.clusterId.toHexString(),
    namespace: document.namespace,
    onFailure: document.onFailure,
    state: document.state,
    revision: document.revision,
    version: document.version,
    createdAt: document.createdAt.toISOString(),
    createdBy: document.createdBy,
    updatedAt: document.updatedAt.toISOString(),
  };
}

export function toStoredWorkflow(document: WorkflowDocument): StoredWorkflow {
  return {
    ...fromDocument(document),
    nodes: document.nodes.map(({ id, manifest, timeoutMs }) => ({
      id,
      manifest: JSON.parse(manifest) as Manifest,
      timeoutMs,
    })),
    edges: document.edges.map(({ source, target, waitFor }) => ({ source, target, waitFor })),
  };
}
