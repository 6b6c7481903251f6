import { CommandError, badValue } from '../command-error.js';
import { type IndexKeys, type KeyField, indexKeys, keyFields } from '../storage/index-keys.js';
import { type Doc, asNumber, isDoc } from './bson-types.js';

/** MongoDB manual, "Limits": what a sort without an index may hold. */
export const MAX_SORT_BYTES = 100 * 1024 * 1024;

/** Parses `{a: 1, b: -1}`. Throws BadValue for anything but 1 and -1. */
export function parseSort(spec: unknown): KeyField[] {
  if (spec === undefined || spec === null) return [];
  if (!isDoc(spec)) throw badValue('sort must be an object');
  const fields: Record<string, 1 | -1> = {};
  for (const [path, value] of Object.entries(spec)) {
    const direction = asNumber(value);
    if (direction !== 1 && direction !== -1)
      throw new CommandError(15975, `$sort key ordering of '${path}' must be 1 or -1`);
    if (path === '' || path.startsWith('$')) throw badValue(`'${path}' is no field to sort by`);
    fields[path] = direction;
  }
  return keyFields(fields);
}

/** The document's place in the order, as bytes that compare: its least key where arrays give several. */
export function sortKey(doc: Doc, fields: readonly KeyField[]): Buffer {
  let keys: IndexKeys;
  try {
    keys = indexKeys(doc, fields);
  } catch (error) {
    if (error instanceof CommandError && error.code === 171)
      throw badValue('cannot sort with keys that are parallel arrays');
    throw error;
  }
  return keys.keys.reduce((least, key) => (key.compare(least) < 0 ? key : least));
}

export interface Keyed<T> {
  readonly key: Buffer;
  readonly item: T;
  readonly bytes: number;
}

/** Collects items for a sort in memory, keeping only the first `limit` where one is known. Throws 292 above 100 MiB. */
export class SortBuffer<T> {
  private items: Array<Keyed<T>> = [];
  private bytes = 0;
  private readonly limit: number | undefined;

  constructor(limit: number | undefined) {
    this.limit = limit;
  }

  add(entry: Keyed<T>): void {
    this.items.push(entry);
    this.bytes += entry.bytes;
    if (this.limit !== undefined && this.items.length >= Math.max(64, this.limit * 2)) this.trim();
    if (this.bytes > MAX_SORT_BYTES) {
      throw new CommandError(
        292,
        `sort exceeded the memory limit of ${MAX_SORT_BYTES} bytes; add an index on the sorted fields or a limit`,
      );
    }
  }

  private trim(): void {
    this.items.sort((a, b) => a.key.compare(b.key));
    if (this.limit === undefined) return;
    this.items.length = Math.min(this.items.length, this.limit);
    this.bytes = this.items.reduce((sum, entry) => sum + entry.bytes, 0);
  }

  take(): T[] {
    this.trim();
    return this.items.map((entry) => entry.item);
  }
}
