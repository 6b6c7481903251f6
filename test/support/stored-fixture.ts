import { readFileSync } from 'node:fs';
import mongoose, { type mongo } from 'mongoose';

/** What a store of an earlier schema version held, as that version's program left it. */
export interface StoredFixture {
  readonly schemaVersion: number;
  readonly collections: Readonly<
    Record<
      string,
      { readonly indexes: readonly mongo.IndexDescription[]; readonly documents: readonly mongo.Document[] }
    >
  >;
}

/** The key that the fixtures' credentials are sealed with. They are of clusters that are long gone. */
export const FIXTURE_SEALING_KEY = Buffer.from(Array.from({ length: 32 }, (_, n) => n)).toString('base64');

export function readFixture(schemaVersion: number): StoredFixture {
  const file = new URL(`../fixtures/schema-${schemaVersion}.json`, import.meta.url);
  return mongoose.mongo.BSON.EJSON.parse(readFileSync(file, 'utf8')) as StoredFixture;
}

/** Stores the fixture in a database that is empty. */
export async function storeFixture(database: mongo.Db, fixture: StoredFixture): Promise<void> {
  for (const [name, { indexes, documents }] of Object.entries(fixture.collections)) {
    const collection = database.collection(name);
    if (indexes.length > 0) await collection.createIndexes([...indexes]);
    if (documents.length > 0) await collection.insertMany([...documents]);
  }
}
