import { describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../test/support/fake-clock.js';
import { FakeLeaseStore } from '../../test/support/fake-lease-store.js';
import { OrphanedLeases } from './orphaned-leases.js';

describe('OrphanedLeases', () => {
  it.each([
    ['are free for a new process', true, { holder: 'new', epoch: 2 }],
    ['have to run out where other processes may have them', false, null],
  ])('%s (embedded store: %s)', async (_, isEmbedded, expected) => {
    const store = new FakeLeaseStore(new FakeClock());
    await store.acquire('sweep', 'killed', 15_000);
    await new OrphanedLeases({ isEmbedded }, store).start();
    const lease = await store.acquire('sweep', 'new', 15_000);
    if (expected) expect(lease).toMatchObject(expected);
    else expect(lease).toBeNull();
  });
});
