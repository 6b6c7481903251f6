import { describe, expect, it } from '@jest/globals';
import { settle } from '../../../test/support/fake-clock.js';
import { DrainSchedule } from './drain-schedule.js';

function setUp() {
  let time = 1;
  const schedule = new DrainSchedule({ now: () => time });
  return { schedule, pass: (ms: number) => void (time += ms) };
}

describe('DrainSchedule', () => {
  it('drains after the turn that asks for it, in that order, also what a drain asks for', async () => {
    const { schedule } = setUp();
    const drained: string[] = [];
    schedule.add({
      drain: () => {
        drained.push('first');
        schedule.add({ drain: () => drained.push('third') });
      },
    });
    schedule.add({ drain: () => drained.push('second') });
    expect(drained).toEqual([]);
    await Promise.resolve();
    expect(drained).toEqual(['first', 'second', 'third']);
  });

  it('drains what is deferred in another turn', async () => {
    const { schedule } = setUp();
    const turns: number[] = [];
    const drainable = {
      drain: (turn: number): void => {
        turns.push(turn);
        if (turns.length < 3) schedule.defer(drainable);
      },
    };
    schedule.add(drainable);
    await Promise.resolve();
    expect(turns).toHaveLength(1);
    await settle();
    expect(new Set(turns).size).toBe(3);
  });

  it('reads the clock once for a burst, again for each drain, and never knows an old time', async () => {
    const { schedule, pass } = setUp();
    const times: number[] = [];
    const tell = (): void => void times.push(schedule.now());
    const drainable = { drain: () => [tell(), pass(10), tell()] };
    tell();
    pass(10);
    tell();
    schedule.add(drainable);
    schedule.add(drainable);
    tell();
    pass(10);
    tell();
    await Promise.resolve();
    pass(10);
    schedule.add(drainable);
    tell();
    await Promise.resolve();
    tell();
    expect(times).toEqual([1, 11, 11, 11, 21, 21, 31, 31, 51, 51, 51, 61]);
  });
});
