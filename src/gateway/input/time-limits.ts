/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what google.protobuf.Timestamp can say. */
export const FIRST_SECOND = -62_135_596_800n;
export const LAST_SECOND = 253_402_300_799n;
/** 10 000 years: JSON has no form for a longer google.protobuf.Duration. */
export const LONGEST_SECONDS = 315_576_000_000n;

/** Of a Timestamp. */
export function isTime({ seconds, nanos }: { readonly seconds: bigint; readonly nanos: number }): boolean {
  return seconds >= FIRST_SECOND && seconds <= LAST_SECOND && nanos >= 0 && nanos < 1e9;
}
