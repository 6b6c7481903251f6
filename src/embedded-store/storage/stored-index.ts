import { type Doc, getField } from '../query/bson-types.js';
import { type FilterNode, compileFilter } from '../query/filter.js';
import { type IndexKeys, type KeyField, indexKeys, keyFields } from './index-keys.js';

/** An index as `listIndexes` tells it. */
export interface IndexSpec {
  readonly v: 2;
  readonly key: Readonly<Record<string, 1 | -1>>;
  readonly name: string;
  readonly unique?: boolean;
  readonly sparse?: boolean;
  readonly partialFilterExpression?: Doc;
  /** Seconds after the field's date at which a document is removed. */
  readonly expireAfterSeconds?: number;
}

/** An index with its compiled parts; its keys are in the table `x<id>`. */
export class StoredIndex {
  readonly id: number;
  readonly spec: IndexSpec;
  readonly fields: readonly KeyField[];
  readonly partial: FilterNode | undefined;
  /** The top-level fields that decide on a document's keys; undefined if that cannot be told. */
  private readonly deciding: readonly string[] | undefined;
  /** Positions of fields at which some document has, or had, an array. */
  readonly multikey: Set<number>;
  readonly table: string;
  /** Of one entry; `other`: whether another document has the key. */
  readonly sql: { readonly insert: string; readonly remove: string; readonly other: string };

  constructor(id: number, spec: IndexSpec, multikey: readonly number[]) {
    this.id = id;
    this.spec = spec;
    this.fields = keyFields(spec.key);
    this.partial = spec.partialFilterExpression ? compileFilter(spec.partialFilterExpression) : undefined;
    this.multikey = new Set(multikey);
    this.table = `x${id}`;
    this.sql = {
      insert: `INSERT INTO ${this.table} (key, rid) VALUES (?, ?)`,
      remove: `DELETE FROM ${this.table} WHERE key = ? AND rid = ?`,
      other: `SELECT 1 FROM ${this.table} WHERE key = ? AND rid <> ? LIMIT 1`,
    };
    const filtered = this.partial ? fieldsOf(this.partial) : [];
    this.deciding = filtered && [...new Set([...this.fields.map(({ parts }) => parts[0] ?? ''), ...filtered])];
  }

  /** Whether the keys are the same, seen without making them: the documents share what decides on them. */
  isUntouched(before: Doc, after: Doc): boolean {
    return this.deciding?.every((field) => getField(before, field) === getField(after, field)) ?? false;
  }

  /** The document's keys; none if the index leaves the document out. */
  keysOf(doc: Doc): Pick<IndexKeys, 'keys' | 'multikey'> {
    if (this.partial && !this.partial.test(doc)) return { keys: [], multikey: [] };
    const { keys, multikey, isAbsent } = indexKeys(doc, this.fields);
    return this.spec.sparse === true && isAbsent ? { keys: [], multikey: [] } : { keys, multikey };
  }
}

/** The top-level fields that the filter looks at; undefined if that cannot be told. */
function fieldsOf(filter: FilterNode): string[] | undefined {
  if (filter.kind === 'other') return undefined;
  if (filter.kind === 'leaf') return [filter.parts[0] ?? ''];
  const children = filter.children.map(fieldsOf);
  return children.includes(undefined) ? undefined : children.flatMap((fields) => fields ?? []);
}
