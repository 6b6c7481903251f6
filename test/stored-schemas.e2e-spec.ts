import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { MIGRATIONS } from '../src/database/migrations/index.js';
import { startEmbeddedStore } from '../src/embedded-store/index.js';
import { ApiClient } from './support/api-client.js';
import { Service } from './support/service.js';
import { FIXTURE_SEALING_KEY, readFixture, storeFixture } from './support/stored-fixture.js';

const EARLIER = MIGRATIONS.slice(0, -1).map(({ schemaVersion }) => schemaVersion);

async function fillDataDir(dataDir: string, schemaVersion: number): Promise<void> {
  const store = await startEmbeddedStore({ dataDir });
  const connection = await mongoose.createConnection(store.uri, { dbName: 'crowsnest', autoIndex: false }).asPromise();
  try {
    if (!connection.db) throw new Error('the connection has no database');
    await storeFixture(connection.db, readFixture(schemaVersion));
  } finally {
    await connection.close();
    await store.stop();
  }
}

describe('the service on a store of an earlier schema version', () => {
  it.each(EARLIER)('%i migrates it, shows what it held, and does what is new', async (version) => {
    const dataDir = await mkdtemp(join(tmpdir(), 'crowsnest-schema-'));
    await fillDataDir(dataDir, version);
    const service = await Service.start({ dataDir, environment: { CROWSNEST_SEALING_KEY: FIXTURE_SEALING_KEY } });
    try {
      const migrated = service.lines.filter(({ message }) => message === 'migrating the stored data');
      expect(migrated.map(({ schemaVersion }) => schemaVersion)).toEqual(
        MIGRATIONS.slice(version).map(({ schemaVersion }) => schemaVersion),
      );
      const api = new ApiClient(service.url);
      const { items } = await api.must<{ items: Array<{ id: string; name: string }> }>('GET', '/workflows');
      expect(items.map(({ name }) => name).toSorted()).toEqual(['idle', 'shop']);
      const shop = items.find(({ name }) => name === 'shop');
      const workflow = await api.must<{ nodes: unknown[] }>('GET', `/workflows/${shop?.id}`);
      expect(workflow.nodes).toHaveLength(3);
      // Opens what was sealed then: without its credential the cluster's answer would be another one.
      const { reason } = await api.must<{ reason: { code: string } }>(
        'POST',
        `/clusters/${String((await api.must<{ items: Array<{ id: string }> }>('GET', '/clusters')).items[0]?.id)}/check`,
      );
      expect(reason.code).toBe('refused');
      await api.must('POST', '/streams/tickets', { body: { keys: [`workflow:${shop?.id}`] } });
      expect(service.lines.filter(({ level }) => level === 'error')).toEqual([]);
      expect(await service.end('SIGTERM')).toBe(0);
    } finally {
      await service.dispose();
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
