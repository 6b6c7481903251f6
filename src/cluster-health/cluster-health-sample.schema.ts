import { Schema, type Types } from 'mongoose';
import { schemaOptions } from '../database/schema-options.js';
import { CLUSTER_REASON_CODES, type ClusterReasonCode } from './cluster.js';

/** One check. */
export interface ClusterHealthSample {
  readonly clusterId: Types.ObjectId;
  readonly tenantId: string;
  readonly checkedAt: Date;
  readonly reachable: boolean;
  readonly latencyMs: number | null;
  readonly reason: ClusterReasonCode | null;
  readonly expiresAt: Date;
}

export const clusterHealthSampleSchema = new Schema<ClusterHealthSample>(
  {
    clusterId: { type: Schema.Types.ObjectId, required: true },
    tenantId: { type: String, required: true },
    checkedAt: { type: Date, required: true },
    reachable: { type: Boolean, required: true },
    latencyMs: { type: Number, default: null },
    reason: { type: String, enum: [...CLUSTER_REASON_CODES, null], default: null },
    expiresAt: { type: Date, required: true },
  },
  schemaOptions('cluster_health_samples'),
);
