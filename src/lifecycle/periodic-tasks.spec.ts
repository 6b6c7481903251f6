import { describe, expect, it } from '@jest/globals';
import { SchedulerRegistry } from '@nestjs/schedule';
import { FakeClock } from '../../test/support/fake-clock.js';
import { PeriodicTasks } from './periodic-tasks.js';

function setup() {
  const clock = new FakeClock();
  const registry = new SchedulerRegistry();
  const errors: unknown[] = [];
  const create = (runOnce: () => Promise<void>) =>
    new PeriodicTasks(registry, clock).create({
      name: 'sweep',
      periodMs: 1_000,
      firstDelayMs: 0,
      runOnce,
      onError: (error) => void errors.push(error),
    });
  return { clock, registry, errors, create };
}

describe('PeriodicTasks', () => {
  it('shows the planned round in the registry, and nothing while it runs or after the stop', async () => {
    const { clock, registry, create } = setup();
    const planned: string[][] = [];
    const task = create(async () => void planned.push(registry.getTimeouts()));
    await task.start();
    expect(registry.getTimeouts()).toEqual(['sweep']);
    await clock.advance(1_000);
    expect(planned).toEqual([[], []]);
    expect(registry.getTimeouts()).toEqual(['sweep']);
    await task.stop();
    expect(registry.getTimeouts()).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('plans the next round after the end of the last, however long that took, and after a failure', async () => {
    const { clock, errors, create } = setup();
    let running = 0;
    const starts: number[] = [];
    const task = create(async () => {
      running += 1;
      starts.push(clock.monotonic());
      expect(running).toBe(1);
      await clock.sleep(2_500);
      running -= 1;
      throw new Error('one round failed');
    });
    await task.start();
    await clock.advance(8_000);
    expect(starts).toEqual([0, 3_500, 7_000]);
    expect(errors).toHaveLength(2);
    await clock.advance(2_000);
    await task.stop();
  });

  it('stops only when the round in progress is over', async () => {
    const { clock, create } = setup();
    let ended = false;
    const task = create(async () => {
      await clock.sleep(500);
      ended = true;
    });
    await task.start();
    await clock.advance(100);
    const stopped = task.stop().then(() => expect(ended).toBe(true));
    await clock.advance(400);
    await stopped;
    expect(clock.pendingTimers).toBe(0);
  });
});
