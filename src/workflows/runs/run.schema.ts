import mongoose from 'mongoose';
import type { Types } from 'mongoose';
import { schemaOptions } from '../../database/schema-options.js';
import {
  type Manifest,
  NODE_OUTCOMES,
  type NodeOutcome,
  type Run,
  RUN_STATES,
  type RunState,
  type RunSummary,
  type WorkflowEdge,
} from '../workflow.js';
import type { NodeDocument } from '../workflow.schema.js';
import type { ActiveRun, AppliedNode, ArchiveMode, ArchiveTarget, RunDefinition, RunStep } from './active-run.js';

export interface RunNodeDocument {
  readonly nodeId: string;
  readonly outcome: NodeOutcome;
  readonly reason: string | null;
  readonly message: string | null;
  readonly fields: readonly string[];
  readonly managers: readonly string[];
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  readonly applied?: AppliedNode | null;
  readonly waitUntil?: Date | null;
  readonly target?: ArchiveTarget | null;
}

/** The definition that the run works on, manifests as canonical JSON like those of the workflow. */
export interface RunDefinitionDocument {
  readonly workflowName: string;
  readonly clusterId: Types.ObjectId;
  readonly namespace: string;
  readonly onFailure: 'stop' | 'continue';
  readonly nodes: readonly NodeDocument[];
  readonly edges: readonly WorkflowEdge[];
}

export interface RunDocument {
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  readonly workflowId: Types.ObjectId;
  readonly kind: 'execute' | 'archive';
  readonly state: RunState;
  /** True exactly while `state` is `running`: at most one run of a workflow has it, by a unique index. */
  readonly active: boolean;
  readonly revision: number;
  readonly nodes: readonly RunNodeDocument[];
  readonly message: string | null;
  readonly version: number;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly createdBy: string;
  /** null once the run has ended: it may have a megabyte. */
  readonly definition: RunDefinitionDocument | null;
  readonly archiveMode: ArchiveMode | null;
  readonly cancelRequested: boolean;
}

const { Schema } = mongoose;
const nested = { _id: false, id: false, strict: 'throw' } as const;
const text = { type: String, required: true } as const;
const optionalText = { type: String, default: null } as const;
const optionalDate = { type: Date, default: null } as const;

const applied = new Schema(
  {
    outcome: { ...text, enum: ['created', 'configured', 'unchanged'] },
    resourceId: text,
    uid: text,
    resourceVersion: text,
  },
  nested,
);

const target = new Schema(
  { entryId: optionalText, group: { type: String }, kind: text, namespace: text, name: text },
  nested,
);

const node = new Schema(
  {
    nodeId: text,
    outcome: { ...text, enum: NODE_OUTCOMES },
    reason: optionalText,
    message: optionalText,
    fields: { type: [String], default: [] },
    managers: { type: [String], default: [] },
    startedAt: optionalDate,
    endedAt: optionalDate,
    applied: { type: applied, default: null },
    waitUntil: optionalDate,
    target: { type: target, default: null },
  },
  nested,
);

const definition = new Schema(
  {
    workflowName: text,
    clusterId: { type: Schema.Types.ObjectId, required: true },
    namespace: text,
    onFailure: { ...text, enum: ['stop', 'continue'] },
    nodes: { type: [new Schema({ id: text, manifest: text, timeoutMs: { type: Number, required: true } }, nested)] },
    edges: {
      type: [new Schema({ source: text, target: text, waitFor: { ...text, enum: ['applied', 'healthy'] } }, nested)],
    },
  },
  nested,
);

export const runSchema = new Schema<RunDocument>(
  {
    tenantId: text,
    workflowId: { type: Schema.Types.ObjectId, required: true },
    kind: { ...text, enum: ['execute', 'archive'] },
    state: { ...text, enum: RUN_STATES },
    active: { type: Boolean, required: true },
    revision: { type: Number, required: true },
    nodes: { type: [node], required: true },
    message: optionalText,
    version: { type: Number, required: true },
    startedAt: { type: Date, required: true },
    endedAt: optionalDate,
    createdBy: text,
    definition: { type: definition, default: null },
    archiveMode: { type: String, enum: ['delete', 'keep', null], default: null },
    cancelRequested: { type: Boolean, default: false },
  },
  schemaOptions('runs'),
);

export function toRunSummary(
  document: Pick<RunDocument, '_id' | 'kind' | 'state' | 'startedAt' | 'endedAt'>,
): RunSummary {
  return {
    id: document._id.toHexString(),
    kind: document.kind,
    state: document.state,
    startedAt: document.startedAt.toISOString(),
    endedAt: document.endedAt?.toISOString() ?? null,
  };
}

export function toRun(document: Omit<RunDocument, 'definition'>): Run {
  return {
    ...toRunSummary(document),
    tenantId: document.tenantId,
    workflowId: document.workflowId.toHexString(),
    revision: document.revision,
    nodes: document.nodes.map(toRunNode),
    message: document.message,
    version: document.version,
    createdBy: document.createdBy,
  };
}

/** @throws Error for a run that has ended: its definition is gone. */
export function toActiveRun(document: RunDocument): ActiveRun {
  if (document.definition === null) throw new Error(`run ${document._id.toHexString()} has ended`);
  return {
    ...toRun(document),
    nodes: document.nodes.map((each): RunStep => ({
      ...toRunNode(each),
      applied: each.applied ?? null,
      waitUntil: each.waitUntil?.toISOString() ?? null,
      target: each.target ?? null,
    })),
    definition: toDefinition(document.definition),
    archiveMode: document.archiveMode,
    cancelRequested: document.cancelRequested,
  };
}

function toRunNode(document: RunNodeDocument) {
  const { nodeId, outcome, reason, message, fields, managers, startedAt, endedAt } = document;
  return {
    nodeId,
    outcome,
    reason,
    message,
    fields: [...fields],
    managers: [...managers],
    startedAt: startedAt?.toISOString() ?? null,
    endedAt: endedAt?.toISOString() ?? null,
  };
}

function toDefinition(document: RunDefinitionDocument): RunDefinition {
  return {
    workflowName: document.workflowName,
    clusterId: document.clusterId.toHexString(),
    namespace: document.namespace,
    onFailure: document.onFailure,
    nodes: document.nodes.map(({ id, manifest, timeoutMs }) => ({
      id,
      manifest: JSON.parse(manifest) as Manifest,
      timeoutMs,
    })),
    edges: document.edges.map(({ source, target: to, waitFor }) => ({ source, target: to, waitFor })),
  };
}
