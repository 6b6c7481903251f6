import { EJSON } from 'bson';
import type mongoose from 'mongoose';
import type { Operation } from './random-operations.js';

type Collection = mongoose.mongo.Collection;
type Doc = Record<string, unknown>;

/** What an operation came to, as comparable text: the result with its number types, or the error's code. */
export type Outcome = { readonly result: string } | { readonly code: unknown };

const exact = (value: unknown): string => EJSON.stringify(value, { relaxed: false });
const typed = { promoteValues: false, promoteLongs: false, promoteBuffers: false } as const;

async function run(collection: Collection, operation: Operation): Promise<unknown> {
  switch (operation.kind) {
    case 'insert':
      return (await collection.insertOne(operation.doc as never)).acknowledged;
    case 'update': {
      const { filter, update, upsert } = operation;
      const options = operation.arrayFilters ? { upsert, arrayFilters: operation.arrayFilters } : { upsert };
      const result = operation.multi
        ? await collection.updateMany(filter, update, options)
        : await collection.updateOne(filter, update, options);
      // Which documents match, not how many of them a server finds changed: `modifiedCount` is compared through the documents.
      return [result.matchedCount, result.upsertedCount];
    }
    case 'replace':
      return (await collection.replaceOne(operation.filter, operation.doc)).matchedCount;
    case 'delete':
      return (
        operation.multi ? await collection.deleteMany(operation.filter) : await collection.deleteOne(operation.filter)
      ).deletedCount;
    case 'findAndModify': {
      const { filter, update, sort, isAfter } = operation;
      return collection.findOneAndUpdate(filter, update, {
        sort: sort as never,
        returnDocument: isAfter ? 'after' : 'before',
        ...typed,
      });
    }
    case 'find': {
      const { filter, sort, skip, limit, projection } = operation;
      return collection.find(filter, { sort: sort as never, skip, limit, projection, ...typed }).toArray();
    }
    case 'count':
      return collection.countDocuments(operation.filter);
    case 'distinct':
      return ((await collection.distinct(operation.key, operation.filter, typed)) as unknown[]).map(exact).sort();
    case 'aggregate':
      return collection.aggregate(operation.pipeline, typed).toArray();
    default:
      throw new Error(`unknown operation ${String(operation)}`);
  }
}

export async function outcome(collection: Collection, operation: Operation): Promise<Outcome> {
  try {
    return { result: exact({ value: await run(collection, operation) }) };
  } catch (error) {
    const { code } = error as { code?: unknown };
    // What is no answer of a server is a fault of the test or a crash, and must fail it.
    if (code === undefined) throw error;
    // With exact types the code of an error is a BSON number too.
    return { code: Number(code) };
  }
}

/** All documents in the order of their ids, with exact types. */
export async function contents(collection: Collection): Promise<string[]> {
  const docs: Doc[] = await collection.find({}, { sort: { _id: 1 }, ...typed }).toArray();
  return docs.map(exact);
}
