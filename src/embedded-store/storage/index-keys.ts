import { CommandError } from '../command-error.js';
import { type Doc, getField, isDoc } from '../query/bson-types.js';
import { arrayIndex } from '../query/path.js';
import { encodeFields } from './key-encoding.js';

export interface KeyField {
  readonly path: string;
  readonly parts: readonly string[];
  readonly direction: 1 | -1;
}

export interface IndexKeys {
  /** One key, or one for each array element; without duplicates. */
  readonly keys: Buffer[];
  /** Positions of the fields that an array was found at or above. */
  readonly multikey: readonly number[];
  /** No field of the index exists in the document (a sparse index leaves it out). */
  readonly isAbsent: boolean;
}

interface Position {
  value: unknown;
  rest: readonly string[];
  isAbsent: boolean;
}

/** Goes down plain documents until the end of the path or an array that has to be expanded. */
function descend(start: Position): Position {
  let { value, rest } = start;
  while (rest.length > 0) {
    const part = rest[0] ?? '';
    if (Array.isArray(value)) {
      const index = arrayIndex(part);
      if (index === undefined) return { value, rest, isAbsent: false };
      if (index >= value.length) return { value: null, rest: [], isAbsent: true };
      value = value[index];
    } else if (isDoc(value) && Object.hasOwn(value, part)) value = getField(value, part);
    else return { value: null, rest: [], isAbsent: true };
    rest = rest.slice(1);
  }
  return { value, rest, isAbsent: start.isAbsent };
}

/**
 * The keys of a document in an index, after MongoDB's multikey rules: an array gives a key for each element, an empty one `undefined`, a
 * missing field null. Throws CannotIndexParallelArrays (171) when two fields go through different arrays.
 */
export function indexKeys(doc: Doc, fields: readonly KeyField[]): IndexKeys {
  return plainKey(doc, fields) ?? expandedKeys(doc, fields);
}

const NO_POSITIONS: readonly number[] = [];

/** The one key of a document that has no array on the way; undefined if it has. */
function plainKey(doc: Doc, fields: readonly KeyField[]): IndexKeys | undefined {
  const values: unknown[] = [];
  let isAbsent = true;
  for (const { parts } of fields) {
    let value: unknown = doc;
    for (const part of parts) {
      if (value === null || typeof value !== 'object' || !isDoc(value) || !Object.hasOwn(value, part)) {
        value = ABSENT;
        break;
      }
      value = getField(value, part);
      if (Array.isArray(value)) return undefined;
    }
    if (value !== ABSENT) isAbsent = false;
    values.push(value === ABSENT ? null : value);
  }
  const key = encodeFields(values, fields);
  return { keys: [key], multikey: NO_POSITIONS, isAbsent };
}

const ABSENT = Symbol('absent');

function expandedKeys(doc: Doc, fields: readonly KeyField[]): IndexKeys {
  const keys: Buffer[] = [];
  const multikey = new Set<number>();
  let isAbsent = true;

  const expand = (starts: Position[], isExpanded: boolean[]): void => {
    const at = starts.map((start, i) => (isExpanded[i] ? start : descend(start)));
    let array: unknown[] | undefined;
    const through: number[] = [];
    for (const [i, position] of at.entries()) {
      if (isExpanded[i] || !Array.isArray(position.value)) continue;
      if (array && array !== position.value) {
        const paths = [...through, i].map((field) => fields[field]?.path).join(', ');
        throw new CommandError(171, `cannot index parallel arrays: ${paths}`);
      }
      array = position.value as unknown[];
      through.push(i);
    }
    if (!array) {
      if (at.some((position) => !position.isAbsent)) isAbsent = false;
      const values = at.map(({ value }) => value);
      keys.push(encodeFields(values, fields));
      return;
    }
    for (const i of through) multikey.add(i);
    const elements = array.length > 0 ? array : [undefined];
    for (const element of elements) {
      const next = at.map((position, i): Position => {
        if (!through.includes(i)) return position;
        if (position.rest.length === 0) return { value: element, rest: [], isAbsent: false };
        return isDoc(element)
          ? { value: element, rest: position.rest, isAbsent: false }
          : { value: null, rest: [], isAbsent: true };
      });
      // A field at its end keeps its element, even one that is an array itself; the others go on below the element.
      expand(
        next,
        next.map((position, i) => (isExpanded[i] ?? false) || (through.includes(i) && position.rest.length === 0)),
      );
    }
  };

  expand(
    fields.map((field) => ({ value: doc, rest: field.parts, isAbsent: false })),
    fields.map(() => false),
  );
  return { keys: multikey.size > 0 ? withoutDuplicates(keys) : keys, multikey: [...multikey], isAbsent };
}

function withoutDuplicates(keys: Buffer[]): Buffer[] {
  const sorted = keys.sort((a, b) => a.compare(b));
  return sorted.filter((key, i) => i === 0 || !key.equals(sorted[i - 1] ?? Buffer.alloc(0)));
}

export function keyFields(spec: Record<string, 1 | -1>): KeyField[] {
  return Object.entries(spec).map(([path, direction]) => ({ path, parts: path.split('.'), direction }));
}
