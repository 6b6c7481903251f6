import { z } from 'zod';
import type {
  GetFailureRateResponse,
  GetLatencyResponse,
  GetStepDurationResponse,
  GetStepHeatmapResponse,
  GetThroughputResponse,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { MAX_GRANULARITY_LENGTH } from '../routing/limits.js';
import { told } from './answer-view.js';
import { idQuery } from './gateway-query.js';
import { checkRange, millisecondsOf, millisecondsSchema, rangeQuery, timeOf, timeSchema } from './wire-values.js';

const workflowId = idQuery.optional();

export const GatewayAnalyticsQuery = z
  .strictObject({
    workflowId,
    subsystemId: idQuery.optional().meta({ description: 'A subsystem, or a business domain that runs name.' }),
    ...rangeQuery,
    granularity: z.string().min(1).max(MAX_GRANULARITY_LENGTH).optional().meta({
      description: 'Of the buckets, as the subsystems understand it.',
      example: '1h',
    }),
  })
  .superRefine(checkRange);
export type GatewayAnalyticsQuery = z.infer<typeof GatewayAnalyticsQuery>;

export const GatewayStepDurationQuery = z.strictObject({ workflowId, ...rangeQuery }).superRefine(checkRange);
export type GatewayStepDurationQuery = z.infer<typeof GatewayStepDurationQuery>;

const count = z.int();
/** JSON has no NaN and no infinity. */
const rateOf = (rate: number): number => (Number.isFinite(rate) ? rate : 0);
const rate = z.number().meta({ description: '0 to 1.' });

const percentiles = z.object({ p50Ms: millisecondsSchema, p95Ms: millisecondsSchema, p99Ms: millisecondsSchema });
type Percentiles = z.infer<typeof percentiles>;
type WirePercentiles = { readonly [P in 'p50' | 'p95' | 'p99']?: Parameters<typeof millisecondsOf>[0] };

function percentilesView({ p50, p95, p99 }: WirePercentiles = {}): Percentiles {
  return { p50Ms: millisecondsOf(p50), p95Ms: millisecondsOf(p95), p99Ms: millisecondsOf(p99) };
}

type Untold<T> = Omit<T, keyof typeof told>;

export const GatewayThroughput = z
  .object({
    buckets: z.array(
      z.object({
        timestamp: timeSchema,
        succeeded: count,
        failed: count,
        running: count,
        canceled: count,
        total: count,
      }),
    ),
    ...told,
  })
  .meta({ id: 'GatewayThroughput' });
export type GatewayThroughput = z.infer<typeof GatewayThroughput>;

export function throughputView({ buckets }: GetThroughputResponse): Untold<GatewayThroughput> {
  return {
    buckets: buckets.map(({ timestamp, succeeded, failed, running, canceled, total }) => ({
      timestamp: timeOf(timestamp),
      succeeded,
      failed,
      running,
      canceled,
      total,
    })),
  };
}

export const GatewayLatency = z
  .object({ buckets: z.array(percentiles.extend({ timestamp: timeSchema })), ...told })
  .meta({ id: 'GatewayLatency' });
export type GatewayLatency = z.infer<typeof GatewayLatency>;

export function latencyView({ buckets }: GetLatencyResponse): Untold<GatewayLatency> {
  return { buckets: buckets.map((bucket) => ({ timestamp: timeOf(bucket.timestamp), ...percentilesView(bucket) })) };
}

export const GatewayFailureRate = z
  .object({
    buckets: z.array(z.object({ timestamp: timeSchema, rate, totalRuns: count, failedRuns: count })),
    ...told,
  })
  .meta({ id: 'GatewayFailureRate' });
export type GatewayFailureRate = z.infer<typeof GatewayFailureRate>;

export function failureRateView({ buckets }: GetFailureRateResponse): Untold<GatewayFailureRate> {
  return {
    buckets: buckets.map((bucket) => ({
      timestamp: timeOf(bucket.timestamp),
      rate: rateOf(bucket.rate),
      totalRuns: bucket.totalRuns,
      failedRuns: bucket.failedRuns,
    })),
  };
}

export const GatewayStepDuration = z
  .object({
    steps: z.array(
      z.object({
        stepName: z.string(),
        isBottleneck: z.boolean(),
        queueWait: percentiles,
        execution: percentiles,
        total: percentiles,
        sampleCount: count,
        trend: z.array(percentiles.extend({ timestamp: timeSchema })),
      }),
    ),
    bottleneckThresholdMs: millisecondsSchema,
    ...told,
  })
  .meta({ id: 'GatewayStepDuration' });
export type GatewayStepDuration = z.infer<typeof GatewayStepDuration>;

export function stepDurationView(answer: GetStepDurationResponse): Untold<GatewayStepDuration> {
  return {
    steps: answer.steps.map((step) => ({
      stepName: step.stepName,
      isBottleneck: step.isBottleneck,
      queueWait: percentilesView(step.queueWait),
      execution: percentilesView(step.execution),
      total: percentilesView(step.total),
      sampleCount: Number(step.sampleCount),
      trend: step.trend.map((point) => ({ timestamp: timeOf(point.timestamp), ...percentilesView(point) })),
    })),
    bottleneckThresholdMs: millisecondsOf(answer.bottleneckThreshold),
  };
}

export const GatewayStepHeatmap = z
  .object({
    cells: z.array(
      z.object({
        stepName: z.string(),
        bucketStart: timeSchema,
        failureRate: rate,
        totalExecutions: count,
        failedExecutions: count,
        averageDurationMs: millisecondsSchema,
      }),
    ),
    stepNames: z.array(z.string()),
    bucketTimestamps: z.array(timeSchema),
    ...told,
  })
  .meta({ id: 'GatewayStepHeatmap' });
export type GatewayStepHeatmap = z.infer<typeof GatewayStepHeatmap>;

export function stepHeatmapView(answer: GetStepHeatmapResponse): Untold<GatewayStepHeatmap> {
  return {
    cells: answer.cells.map((cell) => ({
      stepName: cell.stepName,
      bucketStart: timeOf(cell.bucketStart),
      failureRate: rateOf(cell.failureRate),
      totalExecutions: cell.totalExecutions,
      failedExecutions: cell.failedExecutions,
      averageDurationMs: millisecondsOf(cell.avgDuration),
    })),
    stepNames: answer.stepNames,
    bucketTimestamps: answer.bucketTimestamps.map(timeOf),
  };
}
