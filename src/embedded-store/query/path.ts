import { type Doc, getField, isDoc } from './bson-types.js';

/** Stands for "no such field" among the values found at a path; a stored null is null. */
export const MISSING = Symbol('missing');

export const splitPath = (path: string): string[] => path.split('.');

/** The array index a path part names, or undefined. */
export function arrayIndex(part: string): number | undefined {
  return /^(0|[1-9]\d{0,8})$/.test(part) ? Number(part) : undefined;
}

/**
 * Calls `visit` with every value a dotted path reaches, going through arrays as MongoDB's queries do: into each element that is
 * a document, and into the numbered element. An array at the end of the path is visited as it is. Stops when `visit` returns true.
 */
export function someValue(
  value: unknown,
  parts: readonly string[],
  visit: (value: unknown) => boolean,
  at = 0,
): boolean {
  const part = parts[at];
  if (part === undefined) return visit(value);
  if (Array.isArray(value)) {
    const index = arrayIndex(part);
    if (index !== undefined && index < value.length && someValue(value[index], parts, visit, at + 1)) return true;
    return value.some((item) => isDoc(item) && someValue(item, parts, visit, at));
  }
  if (!isDoc(value) || !Object.hasOwn(value, part)) return visit(MISSING);
  return someValue(value[part], parts, visit, at + 1);
}

/** As `someValue`, and an array at the end of the path also offers each of its elements. */
export function someElement(value: unknown, parts: readonly string[], visit: (value: unknown) => boolean): boolean {
  return someValue(value, parts, (found) => (Array.isArray(found) && found.some(visit)) || visit(found));
}

/** The value at a path without going through arrays, MISSING if there is none. */
export function plainValue(doc: unknown, parts: readonly string[]): unknown {
  let value = doc;
  for (const part of parts) {
    if (!isDoc(value) || !Object.hasOwn(value, part)) return MISSING;
    value = getField(value, part);
  }
  return value;
}

/** Sets a path in a document made of plain documents, creating them on the way. */
export function setPlain(doc: Doc, parts: readonly string[], value: unknown): void {
  let parent = doc;
  for (const part of parts.slice(0, -1)) {
    const next = getField(parent, part);
    if (isDoc(next)) parent = next;
    else {
      const created: Doc = {};
      parent[part] = created;
      parent = created;
    }
  }
  parent[parts.at(-1) ?? ''] = value;
}
