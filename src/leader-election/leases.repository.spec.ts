import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { leaseStoreContract } from '../../test/contracts/lease-store.contract.js';
import { FakeClock } from '../../test/support/fake-clock.js';
import { FakeLeaseStore } from '../../test/support/fake-lease-store.js';
import { type TestDatabase, openTestDatabase } from '../../test/support/test-database.js';
import { LeasesRepository } from './leases.repository.js';

describe('LeasesRepository', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await openTestDatabase();
  });
  afterAll(() => database.close());
  beforeEach(() => database.connection.collection('leases').deleteMany({}));

  leaseStoreContract('the collection of leases', async () => ({
    store: new LeasesRepository(database.connection),
    pass: async (ms) => {
      const earlier = (field: string): object => ({ $subtract: [field, ms] });
      const change = { expiresAt: earlier('$expiresAt'), heldSince: earlier('$heldSince') };
      await database.connection.collection('leases').updateMany({}, [{ $set: change }]);
    },
  }));

  it('goes by the time of the server, whatever the clock of the process says', async () => {
    const lease = await new LeasesRepository(database.connection).acquire('sweep', 'ada', 1_000);
    const hello = await database.connection.db?.admin().command({ hello: 1 });
    expect(Math.abs(Number(lease?.heldSince) - Number(hello?.['localTime']))).toBeLessThan(5_000);
  });
});

leaseStoreContract('the fake store', async () => {
  const clock = new FakeClock();
  return {
    store: new FakeLeaseStore(clock),
    pass: (ms) => (ms < 0 ? Promise.resolve(clock.jump(ms)) : clock.advance(ms)),
  };
});
