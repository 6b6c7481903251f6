/**
 * Order of resource versions within one resource type of one cluster: whole numbers without leading zeros, compared by
 * length, then digit by digit (KEP-5504). Never read as a JavaScript number: they may exceed 2^53.
 */
export function compareResourceVersions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}

const NUMERIC = /^(0|[1-9]\d*)$/;

/** Whether versions can be compared: a server that is not kube-apiserver may use opaque ones. */
export function isComparable(resourceVersion: string): boolean {
  return NUMERIC.test(resourceVersion);
}

/** Whether `a` is older than `b`; not when one of them cannot be compared. */
export function isOlder(a: string, b: string): boolean {
  return isComparable(a) && isComparable(b) && compareResourceVersions(a, b) < 0;
}
