import { create } from '@bufbuild/protobuf';
import {
  FailureRateBucketSchema,
  type GetFailureRateResponse,
  GetFailureRateResponseSchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { sumInt32 } from '../routing/wire-sum.js';
import { bucketsByTime } from './buckets-by-time.js';

/** Runs of equal times are added, and the rate is theirs. */
export function mergeFailureRate(answers: readonly GetFailureRateResponse[]): GetFailureRateResponse {
  const all = answers.flatMap(({ buckets }) => buckets);
  const buckets = bucketsByTime(all, ({ timestamp }) => timestamp).map(({ time, buckets: same }) => {
    const totalRuns = sumInt32(same.map((bucket) => bucket.totalRuns));
    const failedRuns = sumInt32(same.map((bucket) => bucket.failedRuns));
    return create(FailureRateBucketSchema, {
      timestamp: time,
      rate: fraction(failedRuns, totalRuns),
      totalRuns,
      failedRuns,
    });
  });
  return create(GetFailureRateResponseSchema, { buckets });
}

/** As FlowWatch tells rates: 0 of none. */
export function fraction(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
