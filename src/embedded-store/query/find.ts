import type { Collection } from '../storage/collection.js';
import type { KeyField } from '../storage/index-keys.js';
import type { Limits } from '../storage/limits.js';
import { type ExecutionStats, Scan, type ScanRow, countSegments } from '../storage/scan.js';
import type { FilterNode } from './filter.js';
import { type Plan, planQuery } from './planner.js';
import { SortBuffer, sortKey } from './sort.js';

export interface Query {
  readonly filter: FilterNode;
  readonly sort: readonly KeyField[];
  readonly skip: number;
  /** 0 is no limit. */
  readonly limit: number;
  readonly hint?: unknown;
}

/** A stream of rows that can be read in parts, with other commands between. */
export interface RowSource {
  /** Gives rows to `visit` until it answers false (that row comes again), the slice is over, or none is left (then true). */
  read(visit: (row: ScanRow) => boolean, limits: Limits): boolean;
}

class ScanSource implements RowSource {
  private readonly scan: Scan;
  private skip: number;
  private left: number;

  constructor(scan: Scan, skip: number, limit: number) {
    this.scan = scan;
    this.skip = skip;
    this.left = limit === 0 ? Infinity : limit;
  }

  read(visit: (row: ScanRow) => boolean, limits: Limits): boolean {
    if (this.left <= 0) return true;
    for (const row of this.scan.rows(limits)) {
      if (this.skip > 0) this.skip--;
      else {
        if (!visit(row)) return false;
        this.left--;
      }
      this.scan.accept();
      // Asking the walk for one more row than needed would examine one more.
      if (this.left <= 0) return true;
      if (limits.isSliceOver()) return false;
    }
    return this.scan.isAtEnd;
  }
}

class ListSource implements RowSource {
  private readonly rows: readonly ScanRow[];
  private at: number;

  constructor(rows: readonly ScanRow[], skip: number) {
    this.rows = rows;
    this.at = skip;
  }

  read(visit: (row: ScanRow) => boolean): boolean {
    for (; this.at < this.rows.length; this.at++) if (!visit(this.rows[this.at] as ScanRow)) return false;
    return true;
  }
}

/** Sorts in memory; where each segment is in order already, only its first rows can be among the answer's. */
function sorted(collection: Collection, query: Query, plan: Plan, stats: ExecutionStats, limits: Limits): RowSource {
  const most = query.limit === 0 ? undefined : query.skip + query.limit;
  const buffer = new SortBuffer<ScanRow>(most);
  const seen = new Set<number>();
  const parts = plan.order === 'each' ? plan.segments.map((segment) => ({ ...plan, segments: [segment] })) : [plan];
  for (const part of parts) {
    const scan = new Scan(collection, part, query.filter.test, stats);
    let taken = 0;
    for (const row of scan.rows(limits)) {
      scan.accept();
      if (!seen.has(row.rid)) {
        if (plan.mayRepeat) seen.add(row.rid);
        const { rid, bytes } = row;
        const doc = row.doc();
        buffer.add({ key: sortKey(doc, query.sort), item: { rid, bytes, doc: row.doc }, bytes: bytes.length });
      }
      if (plan.order === 'each' && ++taken === most) break;
    }
  }
  return new ListSource(buffer.take(), query.skip);
}

/** The rows that match, in the query's order. Throws 292 when a sort does not fit in memory. */
export function findRows(collection: Collection, query: Query, stats: ExecutionStats, limits: Limits): RowSource {
  const plan = planQuery(collection, query.filter, query.sort, query.limit > 0, query.hint);
  if (plan.order !== 'all') return sorted(collection, query, plan, stats, limits);
  return new ScanSource(new Scan(collection, plan, query.filter.test, stats), query.skip, query.limit);
}

/** The first match in the query's order. */
export function findFirst(
  collection: Collection,
  query: Query,
  stats: ExecutionStats,
  limits: Limits,
): ScanRow | undefined {
  let first: ScanRow | undefined;
  findRows(collection, { ...query, limit: 1 }, stats, limits).read((row) => ((first = row), true), limits);
  return first;
}

export function countRows(collection: Collection, query: Query, stats: ExecutionStats, limits: Limits): number {
  const plan = planQuery(collection, query.filter, [], false, query.hint);
  let total = 0;
  if (plan.isExact && !plan.mayRepeat) total = countSegments(collection, plan, stats);
  else {
    const most = query.limit === 0 ? Infinity : query.skip + query.limit;
    const scan = new Scan(collection, plan, query.filter.test, stats);
    for (const _row of scan.rows(limits)) {
      scan.accept();
      if (++total >= most) break;
    }
  }
  const after = Math.max(0, total - query.skip);
  return query.limit === 0 ? after : Math.min(after, query.limit);
}
