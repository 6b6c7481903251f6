import { create } from '@bufbuild/protobuf';
import type { Duration } from '@bufbuild/protobuf/wkt';
import {
  type GetStepHeatmapResponse,
  GetStepHeatmapResponseSchema,
  type HeatmapCell,
  HeatmapCellSchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { sumInt32 } from '../routing/wire-sum.js';
import { durationOf, toNanos } from '../routing/wire-time.js';
import { bucketsByTime } from './buckets-by-time.js';
import { fraction } from './merge-failure-rate.js';

/** Executions of the same step and time are added, the rate and the mean duration are theirs. Steps by name. */
export function mergeStepHeatmap(answers: readonly GetStepHeatmapResponse[]): GetStepHeatmapResponse {
  const byStep = Map.groupBy(
    answers.flatMap(({ cells }) => cells),
    ({ stepName }) => stepName,
  );
  const told = answers.flatMap(({ stepNames }) => stepNames);
  const stepNames = [...new Set([...told, ...byStep.keys()])].toSorted();
  const cells = stepNames.flatMap((stepName) =>
    bucketsByTime(byStep.get(stepName) ?? [], ({ bucketStart }) => bucketStart).map(({ time, buckets }) => {
      const totalExecutions = sumInt32(buckets.map((cell) => cell.totalExecutions));
      const failedExecutions = sumInt32(buckets.map((cell) => cell.failedExecutions));
      return create(HeatmapCellSchema, {
        stepName,
        bucketStart: time,
        totalExecutions,
        failedExecutions,
        failureRate: fraction(failedExecutions, totalExecutions),
        avgDuration: meanDuration(buckets),
      });
    }),
  );
  const times = [
    ...answers.flatMap(({ bucketTimestamps }) => bucketTimestamps),
    ...cells.flatMap(({ bucketStart }) => bucketStart ?? []),
  ];
  const bucketTimestamps = bucketsByTime(times, (time) => time).map(({ time }) => time);
  return create(GetStepHeatmapResponseSchema, { cells, stepNames, bucketTimestamps });
}

function meanDuration(cells: readonly HeatmapCell[]): Duration {
  let executions = 0n;
  let nanos = 0n;
  for (const { totalExecutions, avgDuration } of cells) {
    if (totalExecutions <= 0) continue;
    executions += BigInt(totalExecutions);
    nanos += BigInt(totalExecutions) * (avgDuration ? toNanos(avgDuration) : 0n);
  }
  return durationOf(executions > 0n ? nanos / executions : 0n);
}
