import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { toNanos } from '../routing/wire-time.js';

export interface BucketsOfTime<T> {
  readonly time: Timestamp;
  readonly buckets: readonly T[];
}

/** Those of equal times together, earliest first. One without a time belongs nowhere and is left out. */
export function bucketsByTime<T>(
  buckets: readonly T[],
  timeOf: (bucket: T) => Timestamp | undefined,
): readonly BucketsOfTime<T>[] {
  const byTime = new Map<bigint, { time: Timestamp; buckets: T[] }>();
  for (const bucket of buckets) {
    const time = timeOf(bucket);
    if (!time) continue;
    const same = byTime.get(toNanos(time));
    if (same) same.buckets.push(bucket);
    else byTime.set(toNanos(time), { time, buckets: [bucket] });
  }
  return [...byTime].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, same]) => same);
}
