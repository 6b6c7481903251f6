import { describe, expect, it } from '@jest/globals';
import { settle } from '../../../../test/support/fake-clock.js';
import { ConcurrencyLimit } from './concurrency-limit.js';

describe('ConcurrencyLimit', () => {
  it('runs so many at once and the rest in order, whether they succeed or fail', async () => {
    const limit = new ConcurrencyLimit(2);
    const ends: PromiseWithResolvers<void>[] = [];
    const results = Array.from({ length: 5 }, () =>
      limit.run(() => {
        const end = Promise.withResolvers<void>();
        ends.push(end);
        return end.promise;
      }),
    );
    const outcomes = Promise.allSettled(results);
    await settle(1);
    expect(ends).toHaveLength(2);
    ends[0]?.reject(new Error('no'));
    await settle(1);
    expect(ends).toHaveLength(3);
    for (let done = 1; done < 5; done += 1) {
      ends[done]?.resolve();
      await settle(1);
    }
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', ...Array<string>(4).fill('fulfilled')]);
    let ran = false;
    await limit.run(async () => {
      ran = true;
      await settle(1);
    });
    expect(ran).toBe(true);
  });
});
