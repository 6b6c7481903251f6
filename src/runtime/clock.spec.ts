import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { SystemClock } from './clock.js';

const DAY_MS = 86_400_000;

describe('SystemClock', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('waits for longer than a timeout of Node can', () => {
    let fired = 0;
    new SystemClock().after(60 * DAY_MS, () => (fired += 1));
    jest.advanceTimersByTime(60 * DAY_MS - 1);
    expect(fired).toBe(0);
    jest.advanceTimersByTime(1);
    expect(fired).toBe(1);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is cancelled in any of its steps', () => {
    const timer = new SystemClock().after(60 * DAY_MS, () => {
      throw new Error('it was cancelled');
    });
    jest.advanceTimersByTime(30 * DAY_MS);
    timer.cancel();
    expect(jest.getTimerCount()).toBe(0);
  });
});
