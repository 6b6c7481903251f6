/** Stored values that have one text each. Beyond JSON: dates, ids and whatever else the driver has a class for. */
export type Canonical = string;

/**
 * One text for all documents of the same content, whatever the order of their fields: what tags and hashes are made
 * over. Values of different types never share a text.
 */
export function canonical(value: unknown): Canonical {
  if (value === null || value === undefined) return 'null';
  if (value instanceof Date) return `Date(${value.getTime()})`;
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object') return canonicalObject(value);
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : JSON.stringify(value);
}

function canonicalObject(value: object): Canonical {
  if ('_bsontype' in value && typeof value._bsontype === 'string') {
    return `${value._bsontype}(${JSON.stringify(String(value as { toString(): string }))})`;
  }
  const fields = Object.entries(value).filter(([, each]) => each !== undefined);
  const sorted = fields.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([name, each]) => `${JSON.stringify(name)}:${canonical(each)}`).join(',')}}`;
}
