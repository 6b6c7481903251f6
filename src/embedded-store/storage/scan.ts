import type { Plan, Segment } from '../query/planner.js';
import { type Doc, decode } from '../query/bson-types.js';
import type { Collection } from './collection.js';
import { type Limits, NO_LIMITS } from './limits.js';
import type { StoredIndex } from './stored-index.js';

/** What a command has examined; a test's proof that an index was walked. */
export interface ExecutionStats {
  keysExamined: number;
  docsExamined: number;
}

export interface ScanRow {
  readonly rid: number;
  readonly bytes: Uint8Array;
  /** The decoded document; decoded on first use where no filter needed it. */
  readonly doc: () => Doc;
}

/** The key where it is needed to go on after the row. */
interface SegmentRow {
  readonly key?: Uint8Array;
  readonly rid: number;
  readonly doc: Uint8Array;
}

const BEFORE_FIRST = -1;

/**
 * Walks a plan's segments. Its position is kept between runs, so that a cursor goes on where it stopped without holding a statement open:
 * `rows` starts after the last row that was rejected by the filter or `accept`ed by the caller.
 */
export class Scan {
  private readonly collection: Collection;
  private readonly plan: Plan;
  private readonly test: ((doc: unknown) => boolean) | undefined;
  private readonly stats: ExecutionStats;
  private readonly seen: Set<number> | undefined;
  private segment = 0;
  private key: Uint8Array | undefined;
  private rid = BEFORE_FIRST;
  private sql: { readonly index: StoredIndex; readonly text: string } | undefined;
  private isPast = false;
  private pending: { key: Uint8Array | undefined; rid: number } | undefined;

  constructor(
    collection: Collection,
    plan: Plan,
    test: ((doc: unknown) => boolean) | undefined,
    stats: ExecutionStats,
  ) {
    this.collection = collection;
    this.plan = plan;
    this.test = plan.isExact ? undefined : test;
    this.stats = stats;
    this.seen = plan.mayRepeat ? new Set() : undefined;
  }

  /** Whether the walk came to its end, rather than to that of its slice. */
  get isAtEnd(): boolean {
    return this.isPast;
  }

  /** Counts the row last given out as taken. */
  accept(): void {
    if (this.pending) this.pass(this.pending.key, this.pending.rid);
    this.pending = undefined;
  }

  private pass(key: Uint8Array | undefined, rid: number): void {
    this.key = key;
    this.rid = rid;
    this.seen?.add(rid);
  }

  *rows(limits: Limits = NO_LIMITS): Generator<ScanRow, void> {
    const { segments, isReverse } = this.plan;
    let examined = 0;
    for (; this.segment < segments.length; this.next()) {
      const segment = segments[isReverse ? segments.length - 1 - this.segment : this.segment];
      if (!segment) break;
      for (const row of this.walk(segment)) {
        this.stats.docsExamined++;
        if (segment.index) this.stats.keysExamined++;
        if ((++examined & 127) === 0) {
          limits.check();
          if (limits.isSliceOver()) return;
        }
        const { rid, doc: bytes } = row;
        if (this.seen?.has(rid)) {
          this.pass(row.key, rid);
          continue;
        }
        let doc: Doc | undefined;
        if (this.test) {
          doc = decode(bytes);
          if (!this.test(doc)) {
            this.pass(row.key, rid);
            continue;
          }
        }
        this.pending = { key: row.key, rid };
        yield { rid, bytes, doc: () => (doc ??= decode(bytes)) };
      }
    }
    this.isPast = true;
  }

  private next(): void {
    this.segment++;
    this.key = undefined;
    this.rid = BEFORE_FIRST;
  }

  private walk(segment: Segment): Iterable<SegmentRow> {
    const { index, from, to, hasOneEntry } = segment;
    const docs = `d${this.collection.id}`;
    if (!index) {
      const statement = this.collection.statement(`SELECT rid, doc FROM ${docs} WHERE rid > ? ORDER BY rid`);
      return statement.iterate(this.rid) as Iterable<unknown> as Iterable<SegmentRow>;
    }
    const { isReverse } = this.plan;
    if (hasOneEntry === true) {
      // Once it is passed there is nothing left. Without the iterator, which costs more than the row.
      if (this.rid !== BEFORE_FIRST) return [];
      const row = this.collection.statement(oneEntrySql(index, docs)).get(from);
      return row === undefined ? [] : [row as unknown as SegmentRow];
    }
    const statement = this.collection.statement(this.sqlOf(index, docs));
    const range = [this.key ?? (isReverse ? to : from), this.rid, isReverse ? from : to] as const;
    return statement.iterate(...range) as Iterable<unknown> as Iterable<SegmentRow>;
  }

  /** (key, rid) > (from, -1) is key >= from; the same statement starts and goes on. */
  private sqlOf(index: StoredIndex, docs: string): string {
    if (this.sql?.index === index) return this.sql.text;
    const [range, order] = this.plan.isReverse
      ? ['(x.key, x.rid) < (?, ?) AND x.key >= ?', 'DESC']
      : ['(x.key, x.rid) > (?, ?) AND x.key < ?', 'ASC'];
    const text = `SELECT x.key, x.rid, d.doc FROM ${index.table} x CROSS JOIN ${docs} d ON d.rid = x.rid WHERE ${range} ORDER BY x.key ${order}, x.rid ${order}`;
    this.sql = { index, text };
    return text;
  }
}

const oneEntrySql = (index: StoredIndex, docs: string): string =>
  `SELECT x.rid, d.doc FROM ${index.table} x CROSS JOIN ${docs} d ON d.rid = x.rid WHERE x.key = ?`;

/** How many entries the exact segments of a plan have, without reading a document. */
export function countSegments(collection: Collection, plan: Plan, stats: ExecutionStats): number {
  let total = 0;
  for (const { index, from, to } of plan.segments) {
    if (!index) total += collection.count();
    else {
      const statement = collection.statement(`SELECT count(*) AS n FROM ${index.table} WHERE key >= ? AND key < ?`);
      const { n } = statement.get(from, to) as { n: number };
      stats.keysExamined += n;
      total += n;
    }
  }
  return total;
}
