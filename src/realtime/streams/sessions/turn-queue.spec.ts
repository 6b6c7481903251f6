import { describe, expect, it } from '@jest/globals';
import { settle } from '../../../../test/support/fake-clock.js';
import { TurnQueue } from './turn-queue.js';

function* count(name: string, units: number, done: string[]): Generator<void> {
  for (let unit = 0; unit < units; unit += 1) {
    done.push(name);
    yield;
  }
}

describe('TurnQueue', () => {
  it('does work in order, no more than 256 units a turn', async () => {
    const turns = new TurnQueue(
      () => 0,
      () => undefined,
    );
    const done: string[] = [];
    turns.add(count('a', 300, done));
    turns.add(count('b', 100, done));
    expect(done).toEqual([]);
    await settle(1);
    expect(done).toHaveLength(256);
    await settle(1);
    expect(done).toEqual([...Array<string>(300).fill('a'), ...Array<string>(100).fill('b')]);
  });

  it('ends a turn early when its units take long', async () => {
    let now = 0;
    const done: string[] = [];
    const turns = new TurnQueue(
      () => (now += 1.5),
      () => undefined,
    );
    turns.add(count('a', 100, done));
    await settle(1);
    expect(done.length).toBeLessThan(50);
    await settle(10);
    expect(done).toHaveLength(100);
  });

  it('goes on with the next work when one fails', async () => {
    const errors: unknown[] = [];
    const done: string[] = [];
    const turns = new TurnQueue(
      () => 0,
      (error) => errors.push(error),
    );
    const failure = new Error('no');
    turns.add({
      next: () => {
        throw failure;
      },
    });
    turns.add(count('b', 1, done));
    await settle(1);
    expect([errors, done]).toEqual([[failure], ['b']]);
  });
});
