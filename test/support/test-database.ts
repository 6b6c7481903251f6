import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import mongoose, { type Connection } from 'mongoose';
import { Migrator } from '../../src/database/migrator.js';
import { MIGRATIONS } from '../../src/database/migrations/index.js';
import { startEmbeddedStore } from '../../src/embedded-store/index.js';
import { SystemClock } from '../../src/runtime/clock.js';
import { CryptoRandom } from '../../src/runtime/random.js';

export interface TestDatabase {
  readonly connection: Connection;
  readonly uri: string;
  /** Drops what the test stored and ends everything behind it. */
  close(): Promise<void>;
}

declare global {
  /** Set by the Jest project `mongodb`, which runs the repositories' specs once more on TEST_MONGODB_URI. */
  var testDatabase: 'server' | undefined;
}

/** An empty, migrated database of its own: on an embedded store, or in the project `mongodb` on a server. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const source = globalThis.testDatabase === 'server' ? server() : await embedded();
  const connection = await mongoose
    .createConnection(source.uri, { dbName: `t_${randomUUID().slice(0, 13)}`, autoIndex: false })
    .asPromise();
  if (!connection.db) throw new Error('the connection has no database');
  const migrator = new Migrator({
    migrations: MIGRATIONS,
    programVersion: '0.0.0-test',
    clock: new SystemClock(),
    random: new CryptoRandom(),
  });
  await migrator.run(connection.db, new AbortController().signal);
  return {
    connection,
    uri: source.uri,
    close: async () => {
      await connection.dropDatabase();
      await connection.close();
      await source.release();
    },
  };
}

function server(): { uri: string; release: () => Promise<void> } {
  const uri = process.env['TEST_MONGODB_URI'];
  if (uri === undefined) throw new Error('TEST_MONGODB_URI is not set');
  return { uri, release: () => Promise.resolve() };
}

async function embedded(): Promise<{ uri: string; release: () => Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'crowsnest-test-'));
  const store = await startEmbeddedStore({ dataDir });
  return {
    uri: store.uri,
    release: async () => {
      await store.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
