import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { leastBonus, pointsAt, rankOf } from './rank.js';

const PLANS = [
  { name: 'free', base: 250, weight: 1 },
  { name: 'enterprise', base: 1_000, weight: 4 },
];
const job = fc.record({
  virtualStart: fc.integer({ min: 1_700_000_000_000, max: 1_700_100_000_000 }),
  points: fc.integer({ min: 0, max: 1_100 }),
});

describe('rank', () => {
  it('ascending is priority descending at every instant', () => {
    const bonus = fc.integer({ min: 1, max: 1_000 });
    const instant = fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 });
    fc.assert(
      fc.property(job, job, bonus, instant, (a, b, perMinute, now) => {
        const priority = ({ virtualStart, points }: typeof a): number =>
          points + (perMinute * (now - virtualStart)) / 60_000;
        const byPriority = priority(b) - priority(a);
        // Doubles of this size are exact to a fraction of a millisecond only.
        if (Math.abs(byPriority) < 1e-3) return;
        const rank = (each: typeof a): number => rankOf(each.virtualStart, each.points, perMinute);
        expect(Math.sign(rank(a) - rank(b))).toBe(Math.sign(byPriority));
        expect(pointsAt(rank(a), now, perMinute)).toBeCloseTo(priority(a), 1);
      }),
      { numRuns: 2_000 },
    );
  });

  it('lets the least overtake fresh ones of the most within the queue limit, exactly from the least bonus on', () => {
    const queueLimitMs = 3_600_000;
    const least = leastBonus(PLANS, queueLimitMs);
    expect(least).toBeCloseTo(14.17, 2);
    const old = (bonus: number): number => rankOf(0, 250, bonus);
    const fresh = (bonus: number): number => rankOf(queueLimitMs, 1_100, bonus);
    expect(old(least + 0.01)).toBeLessThan(fresh(least + 0.01));
    expect(old(least - 0.01)).toBeGreaterThan(fresh(least - 0.01));
  });
});
