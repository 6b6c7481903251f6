import { CommandError, badValue } from '../command-error.js';
import { type Doc, getField, isDoc, setField } from './bson-types.js';
import { MISSING, arrayIndex } from './path.js';

/** What an update knows besides the document. */
export interface UpdateContext {
  /** Index of the array element that matched the query; what `$` stands for. */
  readonly position: number | undefined;
  readonly arrayFilters: ReadonlyMap<string, (element: unknown) => boolean>;
  readonly isInsert: boolean;
  readonly now: Date;
}

/** Returned by a modification that leaves the field as it is. */
export const UNCHANGED = Symbol('unchanged');
/** The new value; MISSING removes the field, UNCHANGED leaves it. */
export type Modify = (current: unknown) => unknown;

/** MongoDB pads an array up to the index that is set; this bound keeps one update from making millions of nulls. */
const MAX_ARRAY_PADDING = 1_500_000;

function targets(parent: unknown, part: string, context: UpdateContext, path: string): string[] {
  if (part === '$') {
    if (context.position === undefined) {
      throw badValue('the positional operator did not find the match needed from the query');
    }
    return [String(context.position)];
  }
  const identifier = /^\$\[(.*)\]$/.exec(part)?.[1];
  if (identifier === undefined) return [part];
  if (!Array.isArray(parent)) throw badValue(`the path '${path}' must exist and hold an array to apply array updates`);
  const indexes = [...parent.keys()];
  if (identifier === '') return indexes.map(String);
  const matches = context.arrayFilters.get(identifier);
  if (!matches) throw badValue(`no array filter found for identifier '${identifier}' in path '${path}'`);
  return indexes.filter((i) => matches(parent[i])).map(String);
}

function read(parent: Doc | unknown[], part: string): unknown {
  if (!Array.isArray(parent)) return Object.hasOwn(parent, part) ? getField(parent, part) : MISSING;
  const index = arrayIndex(part);
  return index !== undefined && index < parent.length ? parent[index] : MISSING;
}

function write(parent: Doc | unknown[], part: string, value: unknown, path: string): void {
  if (!Array.isArray(parent)) {
    if (value === MISSING) delete parent[part];
    else setField(parent, part, value);
    return;
  }
  const index = arrayIndex(part);
  if (index === undefined) throw new CommandError(28, `cannot create field '${part}' in an array (path '${path}')`);
  if (index - parent.length > MAX_ARRAY_PADDING)
    throw badValue(`cannot backfill the array of '${path}' up to index ${index}`);
  while (parent.length < index) parent.push(null);
  // An element that is removed leaves null, so that the others keep their places.
  if (value !== MISSING) parent[index] = value;
  else if (index < parent.length) parent[index] = null;
}

/**
 * Applies `modify` to every field that an update path names, in place. With `creates`, documents missing on the way are made; a value on the way
 * that is no document is PathNotViable (28). Without it such paths are left alone.
 */
export function modifyPath(
  parent: unknown,
  parts: readonly string[],
  context: UpdateContext,
  modify: Modify,
  creates: boolean,
  at = 0,
): void {
  const path = parts.join('.');
  const part = parts[at] ?? '';
  for (const name of targets(parent, part, context, path)) {
    if (!isDoc(parent) && !Array.isArray(parent)) {
      if (!creates) return;
      throw new CommandError(
        28,
        `cannot create field '${name}' in element {${parts[at - 1] ?? ''}}: it is no document`,
      );
    }
    const current = read(parent, name);
    if (at === parts.length - 1) {
      const next = modify(current);
      if (next !== UNCHANGED && !(next === MISSING && current === MISSING)) write(parent, name, next, path);
    } else if (current !== MISSING) modifyPath(current, parts, context, modify, creates, at + 1);
    else if (creates) {
      const created: Doc = {};
      modifyPath(created, parts, context, modify, creates, at + 1);
      write(parent, name, created, path);
    }
  }
}

/** Throws 56 for an empty part, 52 for a `$` that is no positional operator. */
export function parseUpdatePath(path: string): string[] {
  const parts = path.split('.');
  for (const [i, part] of parts.entries()) {
    if (part === '') throw new CommandError(56, `the update path '${path}' contains an empty field name`);
    if (i === 0 && part.startsWith('$'))
      throw new CommandError(52, `the dollar-prefixed field '${part}' in '${path}' is not valid for storage`);
    if (
      part.startsWith('$') &&
      part !== '$' &&
      !/^\$\[[a-z0-9]*[a-zA-Z0-9]*\]$/.test(part) &&
      !['$ref', '$id', '$db'].includes(part)
    ) {
      throw new CommandError(52, `the dollar-prefixed field '${part}' in '${path}' is not valid for storage`);
    }
  }
  return parts;
}

/** The order in which MongoDB applies paths: part by part, numbers as numbers. */
export function comparePaths(a: readonly string[], b: readonly string[]): number {
  for (const [i, part] of a.entries()) {
    const other = b[i];
    if (other === undefined) return 1;
    if (part === other) continue;
    const [x, y] = [arrayIndex(part), arrayIndex(other)];
    if (x !== undefined && y !== undefined) return x - y;
    return part < other ? -1 : 1;
  }
  return a.length - b.length;
}

/** Throws ConflictingUpdateOperators (40) when a path is set twice or inside another. Expects sorted paths. */
export function refuseConflicts(paths: ReadonlyArray<readonly string[]>): void {
  const seen = new Set<string>();
  const parents = new Set<string>();
  for (const parts of paths) {
    const path = parts.join('.');
    const prefixes = parts.map((_, i) => parts.slice(0, i + 1).join('.'));
    const clash = prefixes.find((prefix) => seen.has(prefix)) ?? (parents.has(path) ? path : undefined);
    if (clash !== undefined)
      throw new CommandError(40, `updating the path '${path}' would create a conflict at '${clash}'`);
    seen.add(path);
    for (const prefix of prefixes.slice(0, -1)) parents.add(prefix);
  }
}
