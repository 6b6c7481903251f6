import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { LeaseStore } from '../../src/leader-election/index.js';

export interface LeaseStoreUnderTest {
  readonly store: LeaseStore;
  /** Makes every lease this much older, or moves the clock: the same to the store. Less than 0: its time is set back. */
  readonly pass: (ms: number) => Promise<void>;
}

/** Far longer than a test takes, so that only `pass` makes a lease run out. */
const TTL_MS = 60_000;

/** What every LeaseStore promises. */
export function leaseStoreContract(name: string, open: () => Promise<LeaseStoreUnderTest>): void {
  describe(`${name} as a LeaseStore`, () => {
    let store: LeaseStore;
    let pass: (ms: number) => Promise<void>;
    beforeEach(async () => {
      ({ store, pass } = await open());
    });

    it('grants a duty that nobody has, with epoch 1', async () => {
      const lease = await store.acquire('sweep', 'ada', TTL_MS);
      expect(lease).toMatchObject({ duty: 'sweep', holder: 'ada', epoch: 1 });
      expect(Number(lease?.expiresAt) - Number(lease?.heldSince)).toBe(TTL_MS);
    });

    it('renews for the holder with the same epoch, counted from now', async () => {
      const first = await store.acquire('sweep', 'ada', TTL_MS);
      await pass(TTL_MS / 2);
      const second = await store.acquire('sweep', 'ada', TTL_MS);
      expect(second).toMatchObject({ holder: 'ada', epoch: 1 });
      expect(Number(second?.expiresAt) - Number(second?.heldSince)).toBeGreaterThanOrEqual(TTL_MS * 1.5);
      expect(first?.epoch).toBe(1);
    });

    it('gives nobody else anything before the end, and changes nothing by asking', async () => {
      await store.acquire('sweep', 'ada', TTL_MS);
      const before = await store.list();
      expect(await store.acquire('sweep', 'bob', TTL_MS)).toBeNull();
      expect(await store.list()).toEqual(before);
      await pass(TTL_MS / 2);
      expect(await store.acquire('sweep', 'bob', TTL_MS)).toBeNull();
    });

    it('gives it to another after its end, with the next epoch, and nothing to the one before', async () => {
      await store.acquire('sweep', 'ada', TTL_MS);
      await pass(TTL_MS);
      expect(await store.acquire('sweep', 'bob', TTL_MS)).toMatchObject({ holder: 'bob', epoch: 2 });
      expect(await store.acquire('sweep', 'ada', TTL_MS)).toBeNull();
    });

    it('gives it back to the last holder with the same epoch when nobody had it meanwhile', async () => {
      await store.acquire('sweep', 'ada', TTL_MS);
      await pass(TTL_MS * 2);
      expect(await store.acquire('sweep', 'ada', TTL_MS)).toMatchObject({ holder: 'ada', epoch: 1 });
      expect(await store.acquire('sweep', 'bob', TTL_MS)).toBeNull();
    });

    it('is free at once after it was given back', async () => {
      await store.acquire('sweep', 'ada', TTL_MS);
      await store.resign('sweep', 'ada', 1);
      expect(await store.acquire('sweep', 'bob', TTL_MS)).toMatchObject({ holder: 'bob', epoch: 2 });
    });

    it('ignores that a lease is given back by who does not have it any more', async () => {
      await store.acquire('sweep', 'ada', TTL_MS);
      await pass(TTL_MS);
      await store.acquire('sweep', 'bob', TTL_MS);
      await store.resign('sweep', 'ada', 1);
      await store.resign('sweep', 'bob', 1);
      expect(await store.acquire('sweep', 'ada', TTL_MS)).toBeNull();
    });

    it('frees nothing early when its time is set back, whatever a leader of before gives back late', async () => {
      await store.acquire('sweep', 'ada', TTL_MS);
      await pass(TTL_MS);
      await store.acquire('sweep', 'bob', TTL_MS);
      await pass(-10 * TTL_MS);
      await store.resign('sweep', 'ada', 1);
      await store.resign('sweep', 'ada', 2);
      await store.resign('sweep', 'bob', 1);
      expect(await store.acquire('sweep', 'ada', TTL_MS)).toBeNull();
      expect(await store.acquire('sweep', 'bob', TTL_MS)).toMatchObject({ holder: 'bob', epoch: 2 });
      await pass(TTL_MS / 2);
      await store.resign('sweep', 'ada', 1);
      expect(await store.acquire('sweep', 'ada', TTL_MS)).toBeNull();
      expect(await store.acquire('sweep', 'bob', TTL_MS)).toMatchObject({ epoch: 2 });
    });

    it('keeps nobody from a duty whose leader is gone for longer than its lease when its time is set back', async () => {
      await store.acquire('sweep', 'ada', TTL_MS);
      await pass(-10 * TTL_MS);
      expect(await store.acquire('sweep', 'bob', TTL_MS / 2)).toBeNull();
      // For as long as it was given to ada, not as bob would have it.
      await pass(TTL_MS / 2);
      expect(await store.acquire('sweep', 'bob', TTL_MS / 2)).toBeNull();
      await pass(TTL_MS / 2);
      expect(await store.acquire('sweep', 'bob', TTL_MS)).toMatchObject({ holder: 'bob', epoch: 2 });
    });

    it('gives a new duty to one of many who ask at once', async () => {
      const holders = Array.from({ length: 10 }, (_, index) => `replica-${index}`);
      const leases = await Promise.all(holders.map((holder) => store.acquire('raced', holder, TTL_MS)));
      expect(leases.filter((lease) => lease !== null)).toHaveLength(1);
    });

    it('keeps duties apart, and takes any text for a holder', async () => {
      await store.acquire('a', '$holder', TTL_MS);
      expect(await store.acquire('b', 'bob', TTL_MS)).toMatchObject({ duty: 'b', epoch: 1 });
      expect(await store.acquire('a', 'bob', TTL_MS)).toBeNull();
      expect((await store.list()).map(({ duty, holder }) => [duty, holder])).toEqual([
        ['a', '$holder'],
        ['b', 'bob'],
      ]);
    });

    it('never has two holders, and its epoch grows just when the holder changes', async () => {
      const step = fc.oneof(
        fc.record({ kind: fc.constant('acquire' as const), holder: fc.constantFrom('ada', 'bob', 'cy') }),
        fc.record({ kind: fc.constant('resign' as const), holder: fc.constantFrom('ada', 'bob', 'cy') }),
        fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(TTL_MS / 2, TTL_MS) }),
      );
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const duty = `run-${(run += 1)}`;
          let owner: { holder: string; epoch: number; leftMs: number } | undefined;
          for (const each of steps) {
            if (each.kind === 'pass') {
              await pass(each.ms);
              if (owner) owner.leftMs -= each.ms;
            } else if (each.kind === 'resign') {
              await store.resign(duty, each.holder, owner?.epoch ?? 0);
              if (owner?.holder === each.holder) owner.leftMs = 0;
            } else {
              const lease = await store.acquire(duty, each.holder, TTL_MS);
              const isFree = !owner || owner.leftMs <= 0;
              if (owner?.holder === each.holder) owner.leftMs = TTL_MS;
              else if (isFree) owner = { holder: each.holder, epoch: (owner?.epoch ?? 0) + 1, leftMs: TTL_MS };
              const { holder, epoch } = owner ?? { holder: '', epoch: 0 };
              if (holder === each.holder) expect(lease).toMatchObject({ holder, epoch });
              else expect(lease).toBeNull();
            }
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}
