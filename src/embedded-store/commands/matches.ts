import { CommandError } from '../command-error.js';
import { decode } from '../query/bson-types.js';
import { type Query, type RowSource, findRows } from '../query/find.js';
import type { Collection } from '../storage/collection.js';
import type { Limits } from '../storage/limits.js';
import type { ScanRow } from '../storage/scan.js';
import type { CommandContext, Steps } from './command.js';

/** Takes a row of the collection as it is now. */
export type Change = (collection: Collection, row: ScanRow) => void;

/** Documents found before any of them is removed. */
const BLOCK = 100;
/** Bytes of documents that are kept from finding to changing them; those of further ones are read again. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

/** What a plan was made for: an index that came, went or became multikey asks for another plan. */
const planBasis = ({ indexes }: Collection): string =>
  indexes.map(({ id, multikey }) => `${id}:${multikey.size}`).join();

/** The matches of one statement in a collection that others may change while it pauses. */
class PausingSearch {
  collection: Collection;
  private readonly query: Query;
  private readonly context: CommandContext;
  private source: RowSource;
  private basis: string;

  constructor(collection: Collection, query: Query, context: CommandContext) {
    this.collection = collection;
    this.query = query;
    this.context = context;
    this.source = findRows(collection, query, context.stats, context.limits);
    this.basis = planBasis(collection);
  }

  read(visit: (row: ScanRow) => boolean, limits: Limits): boolean {
    return this.source.read(visit, limits);
  }

  /**
   * Lets others work. Afterwards nothing that was read before is certain any more; a search whose plan may be outdated starts anew.
   * Throws QueryPlanKilled (175) if the collection is gone, MaxTimeMSExpired (50).
   */
  *pause(): Steps<void> {
    yield;
    const { id, ns } = this.collection;
    const { database, limits, stats } = this.context;
    limits.check();
    const collection = database.find(ns);
    if (collection?.id !== id)
      throw new CommandError(175, `the collection ${ns} was dropped while its documents were written`);
    // After a failed command of somebody else the catalog was read again.
    this.collection = collection;
    const basis = planBasis(collection);
    if (basis === this.basis) return;
    this.basis = basis;
    this.source = findRows(collection, this.query, stats, limits);
  }
}

/**
 * Hands each match to `change` once: all are found before the first is changed, so that a change cannot bring a document up again.
 * What was found before a pause is read again, and asked again where it has changed since. An `isAtomic` search (of an upsert, which inserts when nothing is found) does
 * not pause.
 */
export function* updateMatches(
  collection: Collection,
  query: Query,
  context: CommandContext,
  isAtomic: boolean,
  change: Change,
): Steps<void> {
  const search = new PausingSearch(collection, query, context);
  const { limits } = context;
  const found = new Set<number>();
  const kept = new Map<number, ScanRow>();
  let bytes = 0;
  let isFresh = true;
  function* pause(): Steps<void> {
    yield* search.pause();
    isFresh = false;
  }
  const take = (row: ScanRow): boolean => {
    found.add(row.rid);
    bytes += row.bytes.length;
    if (bytes <= MAX_KEPT_BYTES) kept.set(row.rid, row);
    return true;
  };
  const finding = isAtomic ? { check: limits.check, isSliceOver: () => false } : limits;
  while (!search.read(take, finding)) yield* pause();
  let left = found.size;
  // When one of them fails, which ones were changed before it must not depend on the index that found them.
  const inOrder = found.size > 1 ? [...found].sort((one, other) => one - other) : found;
  for (const rid of inOrder) {
    const known = kept.get(rid);
    const row = isFresh && known ? known : storedRow(search.collection, rid, known);
    if (row && (row === known || query.filter.test(row.doc()))) change(search.collection, row);
    if (--left > 0 && limits.isSliceOver()) yield* pause();
  }
}

/** The row as it is now: `known`, if it has not changed. */
function storedRow(collection: Collection, rid: number, known: ScanRow | undefined): ScanRow | undefined {
  const bytes = collection.get(rid);
  if (!bytes) return undefined;
  if (known && Buffer.compare(bytes, known.bytes) === 0) return known;
  const doc = decode(bytes);
  return { rid, bytes, doc: () => doc };
}

/** Hands each match to `remove`, block by block as they are found: what is removed cannot come up again. */
export function* removeMatches(
  collection: Collection,
  query: Query,
  context: CommandContext,
  remove: Change,
): Steps<void> {
  const search = new PausingSearch(collection, query, context);
  const { limits } = context;
  for (;;) {
    const block: ScanRow[] = [];
    let bytes = 0;
    const isDone = search.read((row) => {
      if (block.length > 0 && (block.length >= BLOCK || bytes + row.bytes.length > MAX_KEPT_BYTES)) return false;
      bytes += row.bytes.length;
      block.push(row);
      return true;
    }, limits);
    for (const row of block) remove(search.collection, row);
    if (isDone) return;
    if (limits.isSliceOver()) yield* search.pause();
  }
}
