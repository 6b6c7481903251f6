import { create } from '@bufbuild/protobuf';
import { type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';

const NANOS_PER_SECOND = 1_000_000_000n;

/** Nanoseconds since the epoch of a Timestamp, or of a Duration. */
export function toNanos(time: { readonly seconds: bigint; readonly nanos: number }): bigint {
  return time.seconds * NANOS_PER_SECOND + BigInt(time.nanos);
}

export function durationOf(nanos: bigint): Duration {
  return create(DurationSchema, { seconds: nanos / NANOS_PER_SECOND, nanos: Number(nanos % NANOS_PER_SECOND) });
}
