import { Schema, type Types } from 'mongoose';
import { schemaOptions } from '../../database/index.js';
import type { ChildStatus, Freshness, Health, Rollout } from '../resource.js';

/** What the API server answered to our last apply. */
export interface AppliedObject {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number | null;
}

/** What the stored status was read from; `uid` is null when it is the object's absence. */
export interface ObservedObject {
  readonly uid: string | null;
  readonly resourceVersion: string;
  readonly at: Date;
}

/** The object of one workflow node as stored: the status as it was last observed, apart from how fresh that is. */
export interface ResourceDocument {
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  readonly workflowId: Types.ObjectId;
  readonly nodeId: string;
  readonly clusterId: Types.ObjectId;
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | null;
  readonly health: Health;
  readonly rollout: Rollout | null;
  readonly reason: string | null;
  readonly message: string | null;
  readonly details: Readonly<Record<string, unknown>>;
  readonly children: readonly ChildStatus[];
  readonly since: Date;
  readonly previous: Health | null;
  readonly freshness: Freshness;
  /** When it came into this freshness. */
  readonly freshnessSince: Date;
  /** False once its workflow is archived or its cluster abandoned. */
  readonly watched: boolean;
  readonly applied: AppliedObject | null;
  readonly observed: ObservedObject | null;
  /** UID that we are deleting: its end is told as `deleted`. */
  readonly expectedDeletion: string | null;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly createdBy: string;
}

export const RESOURCE_MODEL = 'Resource';

const { Mixed, ObjectId } = Schema.Types;

export const resourceSchema = new Schema<ResourceDocument>(
  {
    tenantId: String,
    workflowId: ObjectId,
    nodeId: String,
    clusterId: ObjectId,
    apiVersion: String,
    kind: String,
    namespace: String,
    name: String,
    uid: String,
    health: String,
    rollout: String,
    reason: String,
    message: String,
    details: Mixed,
    children: { type: Mixed },
    since: Date,
    previous: String,
    freshness: String,
    freshnessSince: Date,
    watched: Boolean,
    applied: { type: Mixed },
    observed: { type: Mixed },
    expectedDeletion: String,
    version: Number,
    createdAt: Date,
    updatedAt: Date,
    createdBy: String,
  },
  schemaOptions('resources'),
);
