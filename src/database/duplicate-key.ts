import mongoose from 'mongoose';

/** https://www.mongodb.com/docs/manual/reference/error-codes/ */
const DUPLICATE_KEY = 11_000;
const INTERNAL_ERROR = 1;

/**
 * Whether a write was refused by a unique index: somebody else was first. Servers built on PostgreSQL's DocumentDB
 * extension (FerretDB 2) tell it of an update or upsert as an internal error that names PostgreSQL's constraint.
 */
export function isDuplicateKey(error: unknown): boolean {
  if (!(error instanceof mongoose.mongo.MongoServerError)) return false;
  if (error.code === DUPLICATE_KEY) return true;
  return error.code === INTERNAL_ERROR && error.message.includes('violates exclusion constraint');
}
