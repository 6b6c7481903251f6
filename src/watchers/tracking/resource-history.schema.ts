import { Schema, type Types } from 'mongoose';
import { schemaOptions } from '../../database/index.js';
import type { Health, Rollout } from '../resource.js';

/** One entry per change of health, rollout or reason. */
export interface ResourceHistoryDocument {
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  readonly resourceId: Types.ObjectId;
  readonly at: Date;
  readonly uid: string | null;
  readonly health: Health;
  readonly previous: Health | null;
  readonly rollout: Rollout | null;
  readonly reason: string | null;
  readonly message: string | null;
  /** The resource's version that brought the change. */
  readonly resourceRevision: number;
  readonly expiresAt: Date;
}

export const RESOURCE_HISTORY_MODEL = 'ResourceHistory';

const { ObjectId } = Schema.Types;

export const resourceHistorySchema = new Schema<ResourceHistoryDocument>(
  {
    tenantId: String,
    resourceId: ObjectId,
    at: Date,
    uid: String,
    health: String,
    previous: String,
    rollout: String,
    reason: String,
    message: String,
    resourceRevision: Number,
    expiresAt: Date,
  },
  schemaOptions('resource_history'),
);
