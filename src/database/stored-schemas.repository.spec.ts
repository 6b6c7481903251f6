import '../../test/support/quiet-logger.js';
import { afterEach, describe, expect, it } from '@jest/globals';
import mongoose, { type mongo } from 'mongoose';
import { FakeClock } from '../../test/support/fake-clock.js';
import { readFixture, storeFixture } from '../../test/support/stored-fixture.js';
import { type TestDatabase, openTestDatabase } from '../../test/support/test-database.js';
import { CryptoRandom } from '../runtime/random.js';
import { MIGRATIONS } from './migrations/index.js';
import { Migrator } from './migrator.js';

const asText = (documents: readonly mongo.Document[]): string => mongoose.mongo.BSON.EJSON.stringify(documents);
const EARLIER = MIGRATIONS.slice(0, -1).map(({ schemaVersion }) => schemaVersion);

describe('a store of an earlier schema version', () => {
  const open: TestDatabase[] = [];
  afterEach(async () => {
    for (const database of open.splice(0)) await database.close();
  });

  const openDatabase = async (): Promise<mongo.Db> => {
    const database = await openTestDatabase();
    open.push(database);
    if (!database.connection.db) throw new Error('the connection has no database');
    return database.connection.db;
  };
  const indexesOf = async (db: mongo.Db): Promise<Record<string, string[]>> => {
    const names = (await db.listCollections().toArray()).map(({ name }) => name).toSorted();
    const entries = names.map(async (name) => {
      const indexes = await db.collection(name).indexes();
      return [name, indexes.map(({ key, unique }) => JSON.stringify({ key, unique })).toSorted()] as const;
    });
    // A collection without indexes of its own comes with its first document.
    return Object.fromEntries((await Promise.all(entries)).filter(([, indexes]) => indexes.length > 1));
  };

  it.each(EARLIER)('%i is migrated: same documents, and the indexes of a new store', async (version) => {
    const fresh = await indexesOf(await openDatabase());
    const db = await openDatabase();
    await db.dropDatabase();
    const fixture = readFixture(version);
    await storeFixture(db, fixture);
    const migrator = new Migrator({
      migrations: MIGRATIONS,
      programVersion: '9.9.9',
      clock: new FakeClock(),
      random: new CryptoRandom(),
    });
    const { installationId, schemaVersion } = await migrator.run(db, new AbortController().signal);

    expect(schemaVersion).toBe(MIGRATIONS.at(-1)?.schemaVersion);
    expect(installationId).toBe(fixture.collections['installation']?.documents[0]?.['installationId']);
    expect(await indexesOf(db)).toEqual(fresh);
    for (const [name, { documents }] of Object.entries(fixture.collections)) {
      if (name === 'installation') continue;
      const stored = await db.collection(name).find().sort({ _id: 1 }).toArray();
      expect([name, asText(stored)]).toEqual([name, asText(documents)]);
    }
  });

  it('has a fixture for each', () => {
    expect(EARLIER.map((version) => readFixture(version).schemaVersion)).toEqual(EARLIER);
  });
});
