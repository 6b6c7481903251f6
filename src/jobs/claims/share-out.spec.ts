import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Types } from 'mongoose';
import { SMALL_PAYLOAD_BYTES, laneOf, payloadBoundOf } from '../lane.js';
import type { ClaimWaiter } from './claim-waiter.js';
import { MAX_BYTES, shareOut } from './share-out.js';

const waiterOf = (capacity: number) => ({ capacity }) as ClaimWaiter;
const candidateOf = (isLarge: boolean) => ({
  _id: new Types.ObjectId(),
  lane: laneOf('platform', 'default', '', isLarge ? SMALL_PAYLOAD_BYTES + 1 : 0),
});
const bytesOf = (jobs: ReadonlyArray<{ readonly lane: string }>) =>
  jobs.reduce((sum, { lane }) => sum + payloadBoundOf(lane), 0);

describe('shareOut', () => {
  it('gives jobs in order, each once, in turn, within every bound, and stops at one only', () => {
    const capacities = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 12 });
    const sizes = fc.array(fc.boolean(), { maxLength: 300 });
    fc.assert(
      fc.property(capacities, sizes, (ofWaiters, ofJobs) => {
        const [waiters, candidates] = [ofWaiters.map(waiterOf), ofJobs.map(candidateOf)];
        const shares = shareOut(candidates, waiters);
        const given = [...shares.values()].flat();
        const first = candidates.slice(0, given.length);
        expect(new Set(given)).toEqual(new Set(first.map(({ _id }) => _id)));
        const rooms = waiters.map((waiter) => {
          const ids = shares.get(waiter) ?? [];
          const bytes = bytesOf(candidates.filter(({ _id }) => ids.includes(_id)));
          return { jobs: waiter.capacity - ids.length, bytes: MAX_BYTES.answer - bytes };
        });
        expect(rooms.every(({ jobs, bytes }) => jobs >= 0 && bytes >= 0)).toBe(true);
        expect(bytesOf(first)).toBeLessThanOrEqual(MAX_BYTES.together);
        const next = candidates[given.length];
        if (!next) return;
        const needed = payloadBoundOf(next.lane);
        const fits = rooms.some(({ jobs, bytes }) => jobs > 0 && bytes >= needed);
        expect(fits && bytesOf(first) + needed <= MAX_BYTES.together).toBe(false);
      }),
    );
  });

  it('gives the first jobs to different claims', () => {
    const waiters = [waiterOf(2), waiterOf(2)];
    const [a, b, c] = [false, true, false].map(candidateOf);
    expect([
      ...shareOut(
        [a, b, c].filter((each) => each !== undefined),
        waiters,
      ).values(),
    ]).toEqual([[a?._id, c?._id], [b?._id]]);
  });
});
