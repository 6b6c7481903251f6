import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type StatsSnapshot, StatsSnapshotSchema } from '../gen/flowwatch/v1/stream_service_pb.js';
import { sumInt32 } from '../routing/wire-sum.js';

/** Of all subsystems: counts and rates added; the error rate weighted by what finished, or else by the rate of runs. */
export function mergeStats(parts: readonly StatsSnapshot[], nowMs: number): StatsSnapshot {
  const finished = parts.map((part) => Math.max(0, part.succeededLastMinute) + Math.max(0, part.failedLastMinute));
  const rates = parts.map(({ ratePerMinute }) => positive(ratePerMinute));
  const weights = finished.some((count) => count > 0) ? finished : rates;
  const weight = sum(weights);
  return create(StatsSnapshotSchema, {
    timestamp: timestampFromMs(nowMs),
    running: sumInt32(parts.map(({ running }) => running)),
    succeededLastMinute: sumInt32(parts.map(({ succeededLastMinute }) => succeededLastMinute)),
    failedLastMinute: sumInt32(parts.map(({ failedLastMinute }) => failedLastMinute)),
    paused: sumInt32(parts.map(({ paused }) => paused)),
    ratePerMinute: sum(rates),
    errorRate:
      weight === 0 ? 0 : sum(parts.map(({ errorRate }, i) => positive(errorRate) * (weights[i] ?? 0))) / weight,
  });
}

/** A hostile NaN would spoil the sum of all. */
function positive(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
