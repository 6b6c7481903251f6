import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { mongo } from 'mongoose';
import { FakeClock } from '../../test/support/fake-clock.js';
import { type TestDatabase, openTestDatabase } from '../../test/support/test-database.js';
import { CryptoRandom } from '../runtime/random.js';
import { MIGRATIONS, type Migration } from './migrations/index.js';
import { type Installation, Migrator } from './migrator.js';

const NEVER = new AbortController().signal;

describe('Migrator', () => {
  let database: TestDatabase;
  let db: mongo.Db;

  beforeAll(async () => {
    database = await openTestDatabase();
    if (!database.connection.db) throw new Error('the connection has no database');
    db = database.connection.db;
  });
  afterAll(() => database.close());
  beforeEach(() => db.collection('installation').deleteMany({}));

  const migrator = (migrations: readonly Migration[], programVersion = '1.0.0') =>
    new Migrator({ migrations, programVersion, clock: new FakeClock(), random: new CryptoRandom() });
  const step = (schemaVersion: number, up: Migration['up']): Migration => ({ schemaVersion, description: 'test', up });
  const stored = () => db.collection<Installation>('installation').findOne({ _id: 'installation' });

  it('runs what is missing in order, once, and keeps the installation id', async () => {
    const ran: number[] = [];
    const steps = [1, 2, 3].map((version) => step(version, async () => void ran.push(version)));
    const first = await migrator(steps.slice(0, 1)).run(db, NEVER);
    const second = await migrator(steps, '2.0.0').run(db, NEVER);
    expect(ran).toEqual([1, 2, 3]);
    expect(second).toMatchObject({ schemaVersion: 3, programVersion: '2.0.0', installationId: first.installationId });
  });

  it('goes on where a cut start was', async () => {
    const ran: number[] = [];
    let fails = true;
    const steps = [
      step(1, async () => void ran.push(1)),
      step(2, async () => {
        ran.push(2);
        if (fails) throw new Error('the power went');
      }),
    ];
    await expect(migrator(steps).run(db, NEVER)).rejects.toThrow('the power went');
    expect(await stored()).toMatchObject({ schemaVersion: 1 });
    fails = false;
    await migrator(steps).run(db, NEVER);
    expect(ran).toEqual([1, 2, 2]);
    expect(await stored()).toMatchObject({ schemaVersion: 2 });
  });

  it('refuses a store that a newer program wrote, naming both versions, and changes nothing', async () => {
    await migrator([step(1, async () => undefined), step(2, async () => undefined)], '9.9.9').run(db, NEVER);
    const old = migrator([step(1, async () => undefined)], '1.0.0').run(db, NEVER);
    await expect(old).rejects.toThrow(/schema version 2, written by crowsnest 9\.9\.9; this is crowsnest 1\.0\.0/);
    expect(await stored()).toMatchObject({ schemaVersion: 2, programVersion: '9.9.9' });
  });

  it('ends with one installation when two processes start at once', async () => {
    const both = await Promise.all([1, 2].map(() => migrator(MIGRATIONS).run(db, NEVER)));
    expect(new Set(both.map(({ installationId }) => installationId)).size).toBe(1);
    expect(await db.collection('installation').countDocuments()).toBe(1);
  });

  it('stops between two steps when the start is stopped', async () => {
    const stop = new AbortController();
    const steps = [step(1, async () => stop.abort(new Error('stopped'))), step(2, async () => undefined)];
    await expect(migrator(steps).run(db, stop.signal)).rejects.toThrow('stopped');
    expect(await stored()).toMatchObject({ schemaVersion: 1 });
  });

  it('has the indexes that it promises', async () => {
    const names = async (collection: string) =>
      (await db.collection(collection).indexes()).map(({ key }) => Object.keys(key as object).join());
    expect(await names('resources')).toEqual(expect.arrayContaining(['tenantId,_id', 'workflowId,nodeId']));
    expect(await names('inventory')).toContain('clusterId,group,kind,namespace,name');
  });
});
