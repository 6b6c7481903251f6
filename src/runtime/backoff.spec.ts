import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Backoff } from './backoff.js';

const drawing = (float: number) => ({ float: () => float, bytes: () => Buffer.alloc(0), uuid: () => '' });

describe('Backoff', () => {
  it('doubles from the base to the maximum, counted in consecutive failures', () => {
    const backoff = new Backoff({ baseMs: 5_000, maxMs: 60_000, jitter: 0 }, drawing(0));
    expect(Array.from({ length: 6 }, () => backoff.next())).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    backoff.reset();
    expect(backoff.next()).toBe(5_000);
  });

  it('stays within its jitter band however often it failed', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2_000 }), fc.double({ min: 0, max: 0.999999, noNaN: true }), (failures, float) => {
        const backoff = new Backoff({ baseMs: 5_000, maxMs: 60_000, jitter: 0.5 }, drawing(float));
        let delay = 0;
        for (let i = 0; i <= failures; i += 1) delay = backoff.next();
        const ceiling = Math.min(60_000, 5_000 * 2 ** failures);
        return delay >= ceiling / 2 - 1 && delay <= ceiling;
      }),
      { numRuns: 50 },
    );
  });
});
