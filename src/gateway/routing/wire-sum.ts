const MAX_INT32 = 2 ** 31 - 1;
const MAX_INT64 = 2n ** 63n - 1n;

/** Of counts: one below zero counts as none, and the sum stays at the greatest that the wire can carry. */
export function sumInt32(counts: Iterable<number>): number {
  let sum = 0;
  for (const count of counts) sum = Math.min(MAX_INT32, sum + Math.max(0, count));
  return sum;
}

/** As `sumInt32`, of `int64` fields. */
export function sumInt64(counts: Iterable<bigint>): bigint {
  let sum = 0n;
  for (const count of counts) if (count > 0n) sum += count;
  return sum < MAX_INT64 ? sum : MAX_INT64;
}
