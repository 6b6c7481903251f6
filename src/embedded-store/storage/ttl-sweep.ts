import { TYPE_ORDER, decode } from '../query/bson-types.js';
import type { Collection } from './collection.js';
import type { Database } from './database.js';
import { encodeKey } from './key-encoding.js';
import type { StoredIndex } from './stored-index.js';
import { keyRange } from '../query/bounds.js';

/** Removes documents whose indexed date (of several, the earliest) lies `expireAfterSeconds` or more back; at most `limit`. Other types never expire. */
export function expireDocuments(database: Database, now: number, limit: number): number {
  let removed = 0;
  for (const collection of database.all()) {
    for (const index of collection.indexes) {
      const seconds = index.spec.expireAfterSeconds;
      if (seconds !== undefined && removed < limit)
        removed += expire(collection, index, now - seconds * 1000, limit - removed);
    }
  }
  return removed;
}

function expire(collection: Collection, index: StoredIndex, latest: number, limit: number): number {
  const dates = {
    low: Buffer.from([TYPE_ORDER.date]),
    isLowIncluded: true,
    high: encodeKey(new Date(latest)),
    isHighIncluded: true,
  };
  const { from, to } = keyRange(Buffer.alloc(0), dates, index.fields[0]?.direction ?? 1);
  const rows = collection
    .statement(`SELECT DISTINCT rid FROM ${index.table} WHERE key >= ? AND key < ? LIMIT ?`)
    .all(from, to, limit);
  for (const { rid } of rows as Array<{ rid: number }>) {
    const stored = collection.get(rid);
    if (stored) collection.remove(rid, decode(stored));
  }
  return rows.length;
}
