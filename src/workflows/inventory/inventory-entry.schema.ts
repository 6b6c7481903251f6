import mongoose from 'mongoose';
import type { Types } from 'mongoose';
import { schemaOptions } from '../../database/schema-options.js';
import type { InventoryEntry, LastApply, ObjectOrigin } from './inventory-entry.js';

export interface InventoryEntryDocument {
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  readonly workflowId: Types.ObjectId;
  readonly nodeId: string;
  readonly clusterId: Types.ObjectId;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | null;
  readonly origin: ObjectOrigin | null;
  readonly revision: number;
  readonly claimedAt: Date;
  readonly appliedAt: Date | null;
  readonly manifestHash: string | null;
  readonly lastApply: LastApply | null;
}

const { Schema } = mongoose;
const text = { type: String, required: true } as const;

export const inventoryEntrySchema = new Schema<InventoryEntryDocument>(
  {
    tenantId: text,
    workflowId: { type: Schema.Types.ObjectId, required: true },
    nodeId: text,
    clusterId: { type: Schema.Types.ObjectId, required: true },
    // Empty for the core group, which `required` would refuse.
    group: { type: String },
    version: text,
    kind: text,
    namespace: text,
    name: text,
    uid: { type: String, default: null },
    origin: { type: String, enum: ['created', 'adopted', null], default: null },
    revision: { type: Number, required: true },
    claimedAt: { type: Date, required: true },
    appliedAt: { type: Date, default: null },
    manifestHash: { type: String, default: null },
    lastApply: {
      type: new Schema(
        { runId: text, outcome: { ...text, enum: ['created', 'configured', 'unchanged'] } },
        { _id: false, id: false, strict: 'throw' },
      ),
      default: null,
    },
  },
  schemaOptions('inventory'),
);

export function toInventoryEntry(document: InventoryEntryDocument): InventoryEntry {
  return {
    id: document._id.toHexString(),
    tenantId: document.tenantId,
    workflowId: document.workflowId.toHexString(),
    nodeId: document.nodeId,
    clusterId: document.clusterId.toHexString(),
    group: document.group,
    version: document.version,
    kind: document.kind,
    namespace: document.namespace,
    name: document.name,
    uid: document.uid,
    origin: document.origin,
    revision: document.revision,
    claimedAt: document.claimedAt.toISOString(),
    appliedAt: document.appliedAt?.toISOString() ?? null,
    manifestHash: document.manifestHash ?? null,
    lastApply: document.lastApply ?? null,
  };
}
