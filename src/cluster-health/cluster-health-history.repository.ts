import { Inject, Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type Scope, tenantFilter } from '../auth/principal.js';
import type { ClusterReasonCode } from './cluster.js';
import { type ClusterHealthConfig, clusterHealthConfig } from './cluster-health.config.js';
import type { ClusterHealthHour } from './cluster-health-hour.schema.js';
import type { ClusterHealthSample } from './cluster-health-sample.schema.js';
import type { ClusterDocument } from './cluster.schema.js';

const HOUR_MS = 3_600_000;

/** One check, or all checks of one hour. */
export interface ClusterHealthPoint {
  readonly at: Date;
  readonly checks: number;
  readonly reachableChecks: number;
  /** Mean, least and greatest over the checks that reached the cluster; null when none did. */
  readonly latencyMs: number | null;
  readonly minLatencyMs: number | null;
  readonly maxLatencyMs: number | null;
  /** Of a single check that failed. */
  readonly reason: ClusterReasonCode | null;
}

export interface HistoryRange {
  /** Inclusive. */
  readonly since: Date;
  /** Exclusive; absent: until now. */
  readonly before?: Date | undefined;
  readonly limit: number;
}

/** Every check for some days, and sums by the hour for longer; both expire by themselves. */
@Injectable()
export class ClusterHealthHistoryRepository {
  constructor(
    @InjectModel('ClusterHealthSample') private readonly samples: Model<ClusterHealthSample>,
    @InjectModel('ClusterHealthHour') private readonly hours: Model<ClusterHealthHour>,
    @Inject(clusterHealthConfig.token) private readonly config: ClusterHealthConfig,
  ) {}

  /** Adds the check that the cluster was just given. */
  async record(cluster: ClusterDocument): Promise<void> {
    const { _id: clusterId, tenantId, checkedAt, reachable, latencyMs, reason } = cluster;
    if (checkedAt === null || reachable === null) return;
    const at = checkedAt.getTime();
    await this.samples.create([
      {
        clusterId,
        tenantId,
        checkedAt,
        reachable,
        latencyMs,
        reason: reason?.code ?? null,
        expiresAt: new Date(at + this.config.sampleRetentionMs),
      },
    ]);
    const hour = new Date(at - (at % HOUR_MS));
    const extremes = latencyMs === null ? {} : { $min: { latencyMinMs: latencyMs }, $max: { latencyMaxMs: latencyMs } };
    await this.hours.updateOne(
      { clusterId, hour },
      {
        $setOnInsert: { tenantId, expiresAt: new Date(hour.getTime() + this.config.hourRetentionMs) },
        $inc: { checks: 1, reachableChecks: reachable ? 1 : 0, latencySumMs: latencyMs ?? 0 },
        ...extremes,
      },
      { upsert: true },
    );
  }

  /** Newest first; one more than the limit where there is more. */
  async checks(scope: Scope, clusterId: string, range: HistoryRange): Promise<ClusterHealthPoint[]> {
    const found = await this.samples
      .find({ clusterId: new Types.ObjectId(clusterId), ...tenantFilter(scope), checkedAt: within(range) })
      .sort({ checkedAt: -1 })
      .limit(range.limit + 1)
      .lean<ClusterHealthSample[]>();
    return found.map(({ checkedAt, reachable, latencyMs, reason }) => ({
      at: checkedAt,
      checks: 1,
      reachableChecks: reachable ? 1 : 0,
      latencyMs,
      minLatencyMs: latencyMs,
      maxLatencyMs: latencyMs,
      reason,
    }));
  }

  /** Newest first; one more than the limit where there is more. */
  async hourly(scope: Scope, clusterId: string, range: HistoryRange): Promise<ClusterHealthPoint[]> {
    const found = await this.hours
      .find({ clusterId: new Types.ObjectId(clusterId), ...tenantFilter(scope), hour: within(range) })
      .sort({ hour: -1 })
      .limit(range.limit + 1)
      .lean<ClusterHealthHour[]>();
    return found.map(({ hour, checks, reachableChecks, latencySumMs, latencyMinMs, latencyMaxMs }) => ({
      at: hour,
      checks,
      reachableChecks,
      latencyMs: reachableChecks === 0 ? null : Math.round(latencySumMs / reachableChecks),
      minLatencyMs: latencyMinMs ?? null,
      maxLatencyMs: latencyMaxMs ?? null,
      reason: null,
    }));
  }

  async deleteOf(clusterId: string): Promise<void> {
    const filter = { clusterId: new Types.ObjectId(clusterId) };
    await this.samples.deleteMany(filter);
    await this.hours.deleteMany(filter);
  }
}

function within({ since, before }: HistoryRange): Record<string, Date> {
  return { $gte: since, ...(before === undefined ? {} : { $lt: before }) };
}
