import type { Path, Violation } from './violation.js';

/** Containers within each other, the outermost counted. */
export const MAX_DEPTH = 64;
/** Keys of one JSON object, and items of one array. */
export const MAX_ENTRIES = 10_000;
/** Bytes of one string in UTF-8. */
export const MAX_STRING_BYTES = 256 * 1024;

/** Own keys that become prototypes or constructors of whatever they are copied into. */
const HOSTILE_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor']);

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What no later step may meet: hostile keys, unbounded depth, values that JSON cannot carry unchanged.
 *
 * Source of the bounds: limits of DESIGN 3.
 */
export function checkStructure(value: unknown): Violation[] {
  const violations: Violation[] = [];
  visit(value, [], 1, violations);
  return violations;
}

function visit(value: unknown, path: Path, depth: number, violations: Violation[]): void {
  const scalarProblem = problemOfScalar(value);
  if (scalarProblem !== null) violations.push({ path, message: scalarProblem });
  if (typeof value !== 'object' || value === null) return;
  if (depth > MAX_DEPTH) {
    violations.push({ path, message: `is nested deeper than ${MAX_DEPTH} levels` });
    return;
  }
  const entries: Array<[string | number, unknown]> = Array.isArray(value)
    ? value.map((item, index) => [index, item])
    : Object.entries(value);
  if (entries.length > MAX_ENTRIES) {
    violations.push({ path, message: `has ${entries.length} entries; at most ${MAX_ENTRIES} are allowed` });
    return;
  }
  for (const [key, child] of entries) {
    if (typeof key === 'string' && HOSTILE_KEYS.has(key)) {
      violations.push({ path: [...path, key], message: 'is not allowed as a key; rename it' });
    } else visit(child, [...path, key], depth + 1, violations);
  }
}

function problemOfScalar(value: unknown): string | null {
  switch (typeof value) {
    case 'boolean':
    case 'object':
      return null;
    case 'string':
      return value.length * 3 > MAX_STRING_BYTES && Buffer.byteLength(value) > MAX_STRING_BYTES
        ? `is a text of more than ${MAX_STRING_BYTES} bytes`
        : null;
    case 'number':
      if (!Number.isFinite(value)) return 'is not a number that JSON can carry';
      return Number.isInteger(value) && !Number.isSafeInteger(value)
        ? 'is a whole number that cannot be kept exactly; write it as a text if the field allows it'
        : null;
    default:
      return 'is not a JSON value';
  }
}
