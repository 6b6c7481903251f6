import mongoose from 'mongoose';
import type { Types } from 'mongoose';
import { schemaOptions } from '../../database/schema-options.js';
import { NODE_OUTCOMES, type NodeOutcome, type Run, RUN_STATES, type RunState, type RunSummary } from '../workflow.js';

export interface RunNodeDocument {
  readonly nodeId: string;
  readonly outcome: NodeOutcome;
  readonly reason: string | null;
  readonly message: string | null;
  readonly fields: readonly string[];
  readonly managers: readonly string[];
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
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
}

const { Schema } = mongoose;
const text = { type: String, required: true } as const;
const optionalText = { type: String, default: null } as const;
const optionalDate = { type: Date, default: null } as const;

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
  },
  { _id: false, id: false, strict: 'throw' },
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

export function toRun(document: RunDocument): Run {
  return {
    ...toRunSummary(document),
    tenantId: document.tenantId,
    workflowId: document.workflowId.toHexString(),
    revision: document.revision,
    nodes: document.nodes.map(({ nodeId, outcome, reason, message, fields, managers, startedAt, endedAt }) => ({
      nodeId,
      outcome,
      reason,
      message,
      fields: [...fields],
      managers: [...managers],
      startedAt: startedAt?.toISOString() ?? null,
      endedAt: endedAt?.toISOString() ?? null,
    })),
    message: document.message,
    version: document.version,
    createdBy: document.createdBy,
  };
}
