import { afterEach, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import mongoose from 'mongoose';
import { DataDirLockedError, type EmbeddedStore, startEmbeddedStore } from './index.js';

const { MongoClient } = mongoose.mongo;

const folders: string[] = [];
const stores: EmbeddedStore[] = [];

function folder(name = 'data'): string {
  const parent = mkdtempSync(join(tmpdir(), 'store-spec-'));
  folders.push(parent);
  return join(parent, name);
}

async function start(dataDir: string): Promise<EmbeddedStore> {
  const store = await startEmbeddedStore({ dataDir });
  stores.push(store);
  return store;
}

const socketOf = (store: EmbeddedStore): string => decodeURIComponent(new URL(store.uri).host);

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.stop()));
  for (const each of folders.splice(0)) rmSync(each, { recursive: true, force: true });
});

describe('embedded store', () => {
  it('serves the driver over a socket that only its user may open', async () => {
    const dataDir = folder();
    const store = await start(dataDir);
    const client = await new MongoClient(store.uri).connect();
    const things = client.db().collection('things');
    await things.insertOne({ name: 'a', count: 1 });
    await things.updateOne({ name: 'a' }, { $inc: { count: 2 } });
    const found = await things.findOne({ name: 'a' }, { projection: { _id: 0 } });
    expect(found).toEqual({ name: 'a', count: 3 });
    expect(client.db().databaseName).toBe('crowsnest');
    const socket = socketOf(store);
    expect([statSync(socket).mode & 0o777, statSync(join(dataDir, 'run')).mode & 0o777]).toEqual([0o600, 0o700]);
    await client.close();
  });

  it('keeps what it stored, and leaves neither socket nor lock behind', async () => {
    const dataDir = folder();
    const first = await start(dataDir);
    const client = await new MongoClient(first.uri).connect();
    await client.db().collection('things').insertOne({ name: 'kept' });
    await client.close();
    const socket = socketOf(first);
    await first.stop();
    expect(existsSync(socket)).toBe(false);

    const second = await start(dataDir);
    const again = await new MongoClient(second.uri).connect();
    expect(await again.db().collection('things').countDocuments({ name: 'kept' })).toBe(1);
    await again.close();
  });

  it('serves mongoose with its ordinary models', async () => {
    const store = await start(folder());
    const connection = await mongoose.createConnection(store.uri, { autoIndex: false }).asPromise();
    const schema = new mongoose.Schema(
      { name: String, tags: [String] },
      { timestamps: true, optimisticConcurrency: true },
    );
    schema.index({ name: 1 }, { unique: true });
    const Thing = connection.model('Thing', schema);
    await Thing.createIndexes();
    const thing = await Thing.create({ name: 'a', tags: ['x'] });
    thing.tags.push('y');
    await thing.save();
    expect((await Thing.findOne({ tags: 'y' }).lean())?.tags).toEqual(['x', 'y']);
    await expect(Thing.create({ name: 'a' })).rejects.toMatchObject({ code: 11000, keyValue: { name: 'a' } });
    await connection.close();
  });

  it('puts the socket into a private temporary folder when the data directory is too long for one', async () => {
    const store = await start(folder('d'.repeat(100)));
    const socket = socketOf(store);
    expect(socket.startsWith(tmpdir())).toBe(true);
    expect(statSync(join(socket, '..')).mode & 0o777).toBe(0o700);
    const client = await new MongoClient(store.uri).connect();
    expect(await client.db().command({ ping: 1 })).toEqual({ ok: 1 });
    await client.close();
    await store.stop();
    expect(existsSync(join(socket, '..'))).toBe(false);
  });

  it('refuses a second store in the same folder, naming the folder and the holder', async () => {
    const dataDir = folder();
    await start(dataDir);
    const refusal = await startEmbeddedStore({ dataDir }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(DataDirLockedError);
    expect(refusal).toMatchObject({ code: 'DATA_DIR_LOCKED', pid: process.pid, dataDir });
    expect((refusal as Error).message).toContain(String(process.pid));
  });

  it('refuses a store that a later version of the program wrote, and frees the folder again', async () => {
    const dataDir = folder();
    await (await startEmbeddedStore({ dataDir })).stop();
    const file = new DatabaseSync(join(dataDir, 'store', 'store.sqlite'));
    file.exec('PRAGMA user_version = 99');
    file.close();
    await expect(startEmbeddedStore({ dataDir })).rejects.toThrow(/format 99.*later version/);
    const again = new DatabaseSync(join(dataDir, 'store', 'store.sqlite'));
    again.exec('PRAGMA user_version = 1');
    again.close();
    await start(dataDir);
  });

  it('sweeps TTL indexes by itself', async () => {
    const store = await startEmbeddedStore({ dataDir: folder(), ttlSweepMs: 5 });
    stores.push(store);
    const client = await new MongoClient(store.uri).connect();
    const things = client.db().collection('things');
    await things.createIndex({ at: 1 }, { expireAfterSeconds: 1 });
    await things.insertMany([{ at: new Date(0) }, { at: new Date('2999-01-01') }]);
    // Each round trip gives the sweep its turn; the test's own time limit ends a sweep that never comes.
    while ((await things.countDocuments()) > 1);
    expect(await things.countDocuments()).toBe(1);
    await client.close();
  });

  it('answers others while it removes many documents', async () => {
    const store = await start(folder());
    const client = await new MongoClient(store.uri).connect();
    const things = client.db().collection<{ _id: number; big?: boolean }>('things');
    await things.insertMany(Array.from({ length: 40_000 }, (_, _id) => ({ _id, big: true })));
    const answers: string[] = [];
    const removal = things.deleteMany({ big: true }).then(({ deletedCount }) => {
      answers.push('removal');
      return deletedCount;
    });
    for (let isPartial = false; !isPartial && answers.length === 0;) {
      const left = await things.countDocuments({ big: true });
      isPartial = left > 0 && left < 40_000;
    }
    await things.insertOne({ _id: -1 });
    answers.push('insert');
    await client.db().command({ ping: 1 });
    answers.push('ping');
    expect(await removal).toBe(40_000);
    expect(answers).toEqual(['insert', 'ping', 'removal']);
    expect(await things.distinct('_id')).toEqual([-1]);
    await client.close();
  });

  it('answers requests under way before it stops, and stops twice without harm', async () => {
    const dataDir = folder();
    const store = await start(dataDir);
    const client = await new MongoClient(store.uri, { maxPoolSize: 20 }).connect();
    const things = client.db().collection('things');
    await things.insertOne({ _id: -1 as never });
    const acknowledged: number[] = [];
    const writes = Array.from({ length: 200 }, (_, n) =>
      things.insertOne({ _id: n as never }).then(
        () => acknowledged.push(n),
        () => undefined,
      ),
    );
    await writes[20];
    await Promise.all([store.stop(), store.stop()]);
    await client.close(true);
    await Promise.all(writes);

    const again = await start(dataDir);
    const reader = await new MongoClient(again.uri).connect();
    const ids = new Set((await reader.db().collection('things').find().toArray()).map(({ _id }) => Number(_id)));
    expect(acknowledged.length).toBeGreaterThan(20);
    expect(acknowledged.filter((n) => !ids.has(n))).toEqual([]);
    await reader.close();
  }, 40_000);
});
