import { create } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { type GetIndexStatsResponse, GetIndexStatsResponseSchema } from '../gen/flowwatch/v1/search_service_pb.js';
import { sumInt64 } from '../routing/wire-sum.js';
import { toNanos } from '../routing/wire-time.js';

/** Counts are added; all together are as fresh as the one that lags most: its lag, and the earliest last entry. */
export function mergeIndexStats(all: readonly GetIndexStatsResponse[]): GetIndexStatsResponse {
  const lastIndexedAt = earliest(all.flatMap((each) => each.lastIndexedAt ?? []));
  return create(GetIndexStatsResponseSchema, {
    indexedRuns: sumInt64(all.map(({ indexedRuns }) => indexedRuns)),
    indexedSteps: sumInt64(all.map(({ indexedSteps }) => indexedSteps)),
    indexedLogLines: sumInt64(all.map(({ indexedLogLines }) => indexedLogLines)),
    indexSizeBytes: sumInt64(all.map(({ indexSizeBytes }) => indexSizeBytes)),
    ingestionLagSeconds: Math.max(0, ...all.map(({ ingestionLagSeconds }) => ingestionLagSeconds)),
    ...(lastIndexedAt && { lastIndexedAt }),
  });
}

function earliest(times: readonly Timestamp[]): Timestamp | undefined {
  return times.toSorted((a, b) => (toNanos(a) < toNanos(b) ? -1 : 1))[0];
}
