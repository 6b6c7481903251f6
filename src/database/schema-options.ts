import type { SchemaOptions } from 'mongoose';

/**
 * What every collection shares. A misspelt field throws instead of matching everything (`strictQuery`), indexes come
 * from migrations, and a query without a connection fails at once instead of waiting in a buffer.
 */
export function schemaOptions(collection: string): SchemaOptions {
  return {
    collection,
    strict: 'throw',
    strictQuery: 'throw',
    autoIndex: false,
    autoCreate: false,
    minimize: false,
    bufferCommands: false,
    versionKey: false,
    id: false,
  };
}
