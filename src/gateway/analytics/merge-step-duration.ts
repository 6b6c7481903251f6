import { create } from '@bufbuild/protobuf';
import {
  DurationPercentilesSchema,
  type DurationPercentiles,
  type GetStepDurationResponse,
  GetStepDurationResponseSchema,
  type StepDurationEntry,
  StepDurationEntrySchema,
  StepDurationTrendPointSchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { sumInt64 } from '../routing/wire-sum.js';
import { durationOf, toNanos } from '../routing/wire-time.js';
import { bucketsByTime } from './buckets-by-time.js';
import { boundedPercentiles, greatestPercentiles } from './percentile-bound.js';

export interface MergedStepDuration {
  readonly value: GetStepDurationResponse;
  /** Some step is run by several subsystems, and its percentiles are upper bounds. */
  readonly isApproximate: boolean;
}

/**
 * Steps by name. One that a single subsystem runs is exact; of one that several run the percentiles are the least upper
 * bounds that their numbers of samples allow, the trend's the greatest of theirs.
 */
export function mergeStepDuration(answers: readonly GetStepDurationResponse[]): MergedStepDuration {
  const telling = answers.filter(({ steps }) => steps.length > 0);
  const [first] = telling;
  if (!first || telling.length === 1) {
    return { value: first ?? create(GetStepDurationResponseSchema), isApproximate: false };
  }
  const byName = [
    ...Map.groupBy(
      telling.flatMap(({ steps }) => steps),
      ({ stepName }) => stepName,
    ),
  ];
  const merged = byName.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, same]) => mergeStep(name, same));
  const threshold = bottleneckThreshold(merged);
  const steps = merged.map((step) => ({ ...step, isBottleneck: p95(step) > threshold }));
  const value = create(GetStepDurationResponseSchema, { steps, bottleneckThreshold: durationOf(threshold) });
  return { value, isApproximate: byName.some(([, same]) => same.length > 1) };
}

function mergeStep(stepName: string, same: readonly StepDurationEntry[]): StepDurationEntry {
  const [first] = same;
  if (first && same.length === 1) return first;
  return create(StepDurationEntrySchema, {
    stepName,
    queueWait: merge(same, ({ queueWait }) => queueWait),
    execution: merge(same, ({ execution }) => execution),
    total: merge(same, ({ total }) => total),
    sampleCount: sumInt64(same.map(({ sampleCount }) => sampleCount)),
    trend: bucketsByTime(
      same.flatMap(({ trend }) => trend),
      ({ timestamp }) => timestamp,
    ).map(({ time, buckets }) =>
      create(StepDurationTrendPointSchema, { timestamp: time, ...greatestPercentiles(buckets) }),
    ),
  });
}

/** Of those that tell it: one that does not has no zeros. */
function merge(
  same: readonly StepDurationEntry[],
  percentilesOf: (entry: StepDurationEntry) => DurationPercentiles | undefined,
): DurationPercentiles | undefined {
  const weighed = same.flatMap((entry) => {
    const percentiles = percentilesOf(entry);
    return percentiles ? [{ percentiles, samples: entry.sampleCount }] : [];
  });
  return weighed.length === 0 ? undefined : create(DurationPercentilesSchema, boundedPercentiles(weighed));
}

/** As FlowWatch has it: twice the median, by nearest rank, of the p95 of all steps; a bottleneck is above. */
function bottleneckThreshold(steps: readonly StepDurationEntry[]): bigint {
  const sorted = steps.map(p95).toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return 2n * (sorted[Math.ceil(sorted.length / 2) - 1] ?? 0n);
}

function p95({ total }: StepDurationEntry): bigint {
  return total?.p95 ? toNanos(total.p95) : 0n;
}
