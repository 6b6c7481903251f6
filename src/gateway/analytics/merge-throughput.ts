import { create } from '@bufbuild/protobuf';
import {
  type GetThroughputResponse,
  GetThroughputResponseSchema,
  ThroughputBucketSchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { sumInt32 } from '../routing/wire-sum.js';
import { bucketsByTime } from './buckets-by-time.js';

/** Runs of equal times are added. */
export function mergeThroughput(answers: readonly GetThroughputResponse[]): GetThroughputResponse {
  const all = answers.flatMap(({ buckets }) => buckets);
  const buckets = bucketsByTime(all, ({ timestamp }) => timestamp).map(({ time, buckets: same }) =>
    create(ThroughputBucketSchema, {
      timestamp: time,
      succeeded: sumInt32(same.map(({ succeeded }) => succeeded)),
      failed: sumInt32(same.map(({ failed }) => failed)),
      running: sumInt32(same.map(({ running }) => running)),
      canceled: sumInt32(same.map(({ canceled }) => canceled)),
      total: sumInt32(same.map(({ total }) => total)),
    }),
  );
  return create(GetThroughputResponseSchema, { buckets });
}
