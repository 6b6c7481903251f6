import type { Doc } from '../query/bson-types.js';
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
  /** Positions of fields at which some document has, or had, an array. */
  readonly multikey: Set<number>;

  constructor(id: number, spec: IndexSpec, multikey: readonly number[]) {
    this.id = id;
    this.spec = spec;
    this.fields = keyFields(spec.key);
    this.partial = spec.partialFilterExpression ? compileFilter(spec.partialFilterExpression) : undefined;
    this.multikey = new Set(multikey);
  }

  get table(): string {
    return `x${this.id}`;
  }

  /** The document's keys; none if the index leaves the document out. */
  keysOf(doc: Doc): Pick<IndexKeys, 'keys' | 'multikey'> {
    if (this.partial && !this.partial.test(doc)) return { keys: [], multikey: [] };
    const { keys, multikey, isAbsent } = indexKeys(doc, this.fields);
    return this.spec.sparse === true && isAbsent ? { keys: [], multikey: [] } : { keys, multikey };
  }
}
