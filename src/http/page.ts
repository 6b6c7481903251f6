import { Types } from 'mongoose';
import { z } from 'zod';
import { objectId } from './object-id.js';

/** Query parameters of every list, to be spread into its schema. */
export const pageQuery = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(200)
    .default(50)
    .meta({ description: 'How many items at most, 1 to 200.', example: 50 }),
  cursor: objectId.optional().meta({ description: '`nextCursor` of the page before.' }),
};

/** One page, newest first. */
export interface Page<T> {
  readonly items: readonly T[];
  /** For the next page; null on the last. */
  readonly nextCursor: string | null;
}

/** The schema of a page, for OpenAPI. */
export function pageSchema<T extends z.ZodType>(item: T, id: string) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() }).meta({ id });
}

/** What is older than the cursor. Ids are ordered by time, so `_id` descending is newest first. */
export function cursorFilter(query: { readonly cursor?: string | undefined }): { _id?: { $lt: Types.ObjectId } } {
  return query.cursor === undefined ? {} : { _id: { $lt: new Types.ObjectId(query.cursor) } };
}

/** A page from a query that asked for `limit + 1` documents: the extra one only tells that there is more. */
export function toPage<D extends { _id: Types.ObjectId }, T>(
  documents: readonly D[],
  limit: number,
  map: (document: D) => T,
): Page<T> {
  const shown = documents.slice(0, limit);
  const last = documents.length > limit ? shown.at(-1) : undefined;
  return { items: shown.map(map), nextCursor: last?._id.toHexString() ?? null };
}
