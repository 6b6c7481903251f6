import type { mongo } from 'mongoose';

/**
 * One step of the stored data from schema version n − 1 to n.
 *
 * `up` is idempotent and resumable: it may be cut at any point and is then run again from its beginning. It names
 * collections and fields literally, because the schemas of the code move on and a migration does not.
 */
export interface Migration {
  readonly schemaVersion: number;
  readonly description: string;
  up(database: mongo.Db, signal: AbortSignal): Promise<void>;
}
