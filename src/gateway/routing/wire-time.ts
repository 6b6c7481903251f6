import { create } from '@bufbuild/protobuf';
import { type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';
import { LONGEST_SECONDS } from '../input/time-limits.js';

const NANOS_PER_SECOND = 1_000_000_000n;
const LONGEST = LONGEST_SECONDS * NANOS_PER_SECOND;

/** Nanoseconds since the epoch of a Timestamp, or of a Duration. */
export function toNanos(time: { readonly seconds: bigint; readonly nanos: number }): bigint {
  return time.seconds * NANOS_PER_SECOND + BigInt(time.nanos);
}

/** At most 10 000 years. */
export function durationOf(nanos: bigint): Duration {
  const told = nanos > LONGEST ? LONGEST : nanos < -LONGEST ? -LONGEST : nanos;
  return create(DurationSchema, { seconds: told / NANOS_PER_SECOND, nanos: Number(told % NANOS_PER_SECOND) });
}
