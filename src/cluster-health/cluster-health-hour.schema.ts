import { Schema, type Types } from 'mongoose';
import { schemaOptions } from '../database/schema-options.js';

/** All checks of one hour, added up as they come; the latencies are of the checks that reached the cluster. */
export interface ClusterHealthHour {
  readonly clusterId: Types.ObjectId;
  readonly tenantId: string;
  /** Its beginning, UTC. */
  readonly hour: Date;
  readonly checks: number;
  readonly reachableChecks: number;
  readonly latencySumMs: number;
  /** Absent while no check of the hour reached the cluster. */
  readonly latencyMinMs?: number;
  readonly latencyMaxMs?: number;
  readonly expiresAt: Date;
}

export const clusterHealthHourSchema = new Schema<ClusterHealthHour>(
  {
    clusterId: { type: Schema.Types.ObjectId, required: true },
    tenantId: { type: String, required: true },
    hour: { type: Date, required: true },
    checks: { type: Number, required: true },
    reachableChecks: { type: Number, required: true },
    latencySumMs: { type: Number, required: true },
    latencyMinMs: Number,
    latencyMaxMs: Number,
    expiresAt: { type: Date, required: true },
  },
  schemaOptions('cluster_health_hours'),
);
