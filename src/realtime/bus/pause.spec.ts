import { describe, expect, it } from '@jest/globals';
import { HeldHandler, makeBusRoom, NEVER, startedBusRoom } from '../../../test/support/bus-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import type { CriticalDrop } from './drop-reporter.js';

describe('pause and replay', () => {
  it('replays more than a subscription may have waiting, at its pace, and drops nothing', async () => {
    const { bus } = makeBusRoom();
    const handler = new HeldHandler();
    bus.subscribe('slow', ['spec.fact'], handler.handle, { bufferSize: 2, overflow: 'error' });
    for (let n = 0; n < 100; n += 1) expect(bus.publish('spec.fact', { n })).toBe(0);
    await bus.start();
    expect(bus.publish('spec.fact', { n: 100 })).toBe(1);
    await settle(1);
    expect(handler.seen).toEqual([0]);
    for (let n = 0; n < 101; n += 1) {
      handler.release();
      await settle(1);
    }
    expect(handler.seen).toEqual([...Array(101).keys()]);
    expect(bus.stats().dropped.total).toBe(0);
    expect(bus.stats().subscriptions.get('slow')).toMatchObject({ highWater: 100, active: 1 });
  });

  it('counts and tells what its buffer loses, forgetting superseded states first', async () => {
    const { bus } = makeBusRoom({ eventBufferSize: 3 });
    const drops: CriticalDrop[] = [];
    const seen: number[] = [];
    bus.onCriticalDrop((drop) => drops.push(drop));
    bus.subscribe('all', ['spec.fact', 'spec.state'], ({ payload }) => void seen.push(payload.n));
    bus.publish('spec.state', { n: 1 }, { coalesceKey: 'k' });
    bus.publish('spec.fact', { n: 2 });
    bus.publish('spec.state', { n: 3 }, { coalesceKey: 'k' });
    bus.publish('spec.fact', { n: 4 });
    for (const n of [5, 6]) bus.publish('spec.fact', { n });
    await settle();
    expect(drops).toEqual([
      { eventType: 'spec.fact', subscription: 'event buffer', types: [], bufferSize: 3, count: 1 },
      { eventType: 'spec.state', subscription: 'event buffer', types: [], bufferSize: 3, count: 1 },
    ]);
    const { buffer, dropped, unrouted } = bus.stats();
    expect(buffer).toEqual({ length: 3, maxEvents: 3, dropped: 2, superseded: 1 });
    expect([dropped.critical, unrouted]).toEqual([2, 2]);
    await bus.start();
    await settle();
    expect(seen).toEqual([4, 5, 6]);
  });

  it('stays within bounds however often it pauses while a subscriber is stuck', async () => {
    const { bus } = makeBusRoom({ eventBufferSize: 10, eventRetainedKeys: 10 });
    const handler = new HeldHandler();
    const seen: number[] = [];
    const subscription = bus.subscribe('stuck', ['spec.fact'], handler.handle, { bufferSize: 5 });
    bus.subscribe('well', ['spec.fact'], ({ payload }) => void seen.push(payload.n));
    for (let round = 0; round < 20; round += 1) {
      bus.pause();
      for (let n = 0; n < 10; n += 1) bus.publish('spec.fact', { n: round * 10 + n });
      await bus.start();
      await settle(1);
    }
    expect(subscription.depth).toBe(15);
    expect(seen).toHaveLength(200);
    expect(bus.stats().subscriptions.get('stuck')?.dropped).toBe(200 - 1 - 15);
    for (let n = 0; n < 16; n += 1) {
      handler.release();
      await settle(1);
    }
    expect(handler.seen).toEqual(handler.seen.toSorted((a, b) => a - b));
    expect(handler.seen.at(-1)).toBe(199);
  });

  it('goes on handling what was delivered already, and keeps what handlers publish', async () => {
    const { bus } = await startedBusRoom();
    const seen: string[] = [];
    bus.subscribe('echo', ['spec.fact'], ({ payload: { n } }) => {
      seen.push(`fact ${n}`);
      expect(bus.publish('spec.state', { n })).toBe(0);
    });
    bus.subscribe('states', ['spec.state'], ({ payload: { n } }) => void seen.push(`state ${n}`));
    bus.publish('spec.fact', { n: 1 });
    bus.pause();
    bus.pause();
    await settle();
    expect(seen).toEqual(['fact 1']);
    await bus.start();
    await settle();
    expect(seen).toEqual(['fact 1', 'state 1']);
  });

  it('gives what was published during the pause to who subscribes during it, and not to who has left', async () => {
    const { bus } = await startedBusRoom();
    const seen: string[] = [];
    const leaves = bus.subscribe('leaves', ['spec.fact'], () => void seen.push('left'));
    bus.publish('spec.fact', { n: 1 });
    await settle();
    bus.pause();
    bus.publish('spec.fact', { n: 2 });
    bus.subscribe('comes', ['spec.fact'], ({ payload }) => void seen.push(`came ${payload.n}`));
    leaves.unsubscribe();
    await bus.start();
    await settle();
    expect(seen).toEqual(['left', 'came 2']);
  });

  it('counts what waits in its buffer at the stop as lost', async () => {
    const { bus } = makeBusRoom();
    bus.publish('spec.fact', { n: 1 });
    await bus.stop(NEVER);
    bus.publish('spec.fact', { n: 2 });
    await bus.start();
    expect(bus.stats().unrouted).toBe(2);
    expect(bus.isPaused).toBe(false);
    const reasons: string[] = [];
    const late = bus.subscribe('late', ['spec.fact'], () => undefined, { onEnd: (reason) => reasons.push(reason) });
    await settle();
    expect([late.closed, reasons]).toEqual([true, ['stopped']]);
  });
});
