import { create } from '@bufbuild/protobuf';
import {
  type GetLatencyResponse,
  GetLatencyResponseSchema,
  LatencyBucketSchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { bucketsByTime } from './buckets-by-time.js';
import { greatestPercentiles, saysAnything } from './percentile-bound.js';

export interface MergedLatency {
  readonly value: GetLatencyResponse;
  /** Some bucket is of several subsystems, and tells upper bounds. */
  readonly isApproximate: boolean;
}

/** A bucket with runs of one subsystem alone is exact; with runs of several each percentile is the greatest of theirs. */
export function mergeLatency(answers: readonly GetLatencyResponse[]): MergedLatency {
  const all = answers.flatMap(({ buckets }) => buckets);
  let isApproximate = false;
  const buckets = bucketsByTime(all, ({ timestamp }) => timestamp).map(({ time, buckets: same }) => {
    isApproximate ||= same.filter(saysAnything).length > 1;
    return create(LatencyBucketSchema, { timestamp: time, ...greatestPercentiles(same) });
  });
  return { value: create(GetLatencyResponseSchema, { buckets }), isApproximate };
}
