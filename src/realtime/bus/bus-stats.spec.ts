import { Logger } from '@nestjs/common';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { HeldHandler, makeBusRoom, NEVER, startedBusRoom } from '../../../test/support/bus-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import type { EndReason } from './subscribe-options.js';

describe('what a bus tells about itself', () => {
  it('adds subscriptions of one name up, and remembers those that have ended', async () => {
    const { bus, clock } = await startedBusRoom();
    const [first, second] = [new HeldHandler(), new HeldHandler()];
    const one = bus.subscribe('twins', ['spec.fact'], first.handle);
    bus.subscribe('twins', ['spec.fact', 'spec.state'], second.handle, { bufferSize: 2 });
    bus.publish('spec.fact', { n: 0 });
    await clock.advance(100);
    for (let n = 1; n <= 3; n += 1) {
      bus.publish('spec.fact', { n }, { coalesceKey: 'k' });
      await clock.advance(10);
    }
    expect(bus.stats().subscriptions.get('twins')).toEqual({
      active: 2,
      depth: 3 + 1,
      lagMs: 30,
      handled: 2,
      dropped: 0,
      superseded: 2,
      errors: 0,
      highWater: 3,
    });
    expect(bus.openSubscriptions()[1]).toEqual({
      name: 'twins',
      types: ['spec.fact', 'spec.state'],
      state: 'live',
      bufferSize: 2,
      overflow: 'coalesce',
      lossy: false,
      leaderOnly: false,
      depth: 1,
      lagMs: 10,
      handled: 1,
      dropped: 0,
      superseded: 2,
      errors: 0,
      highWater: 2,
    });
    one.unsubscribe();
    expect(bus.stats().subscriptions.get('twins')).toMatchObject({
      active: 1,
      depth: 1,
      lagMs: 10,
      handled: 2,
      highWater: 3,
    });
    expect(bus.openSubscriptions()).toHaveLength(1);
  });

  it('measures the lag of what is replayed, from its publication', async () => {
    const { bus, clock } = makeBusRoom();
    bus.subscribe('held', ['spec.fact'], new HeldHandler().handle);
    bus.publish('spec.fact', { n: 0 });
    bus.publish('spec.fact', { n: 1 });
    await clock.advance(1_000);
    await bus.start();
    await clock.advance(1);
    expect(bus.openSubscriptions()[0]).toMatchObject({ depth: 1, lagMs: 1_001 });
  });

  it('counts each failure, also of callbacks, which harm nobody', async () => {
    const { bus } = await startedBusRoom();
    const fail = (): never => {
      throw new Error('no');
    };
    const subscription = bus.subscribe('fails', ['spec.fact'], () => Promise.reject(new Error('no')), {
      bufferSize: 1,
      onDropped: fail,
      onEnd: fail,
    });
    for (let n = 0; n < 3; n += 1) bus.publish('spec.fact', { n });
    await settle();
    subscription.unsubscribe();
    await settle();
    expect(bus.stats().handlerErrors).toBe(3);
  });

  it('gives a burst one time, and the next turn its own', async () => {
    const { bus, clock } = await startedBusRoom();
    const times: number[] = [];
    bus.subscribe('times', ['spec.fact'], ({ timestamp }) => void times.push(timestamp));
    const begin = clock.now();
    bus.publish('spec.fact', { n: 1 });
    bus.publish('spec.fact', { n: 2 });
    await clock.advance(5);
    bus.publish('spec.fact', { n: 3 });
    await settle();
    expect(times).toEqual([begin, begin, begin + 5]);
  });

  it('shows the recent events, filtered, the newest last', async () => {
    const { bus, clock } = await startedBusRoom({ eventHistorySize: 4 });
    for (let n = 1; n <= 5; n += 1) {
      bus.publish(n % 2 === 0 ? 'spec.state' : 'spec.fact', { n });
      await clock.advance(10);
    }
    const begin = clock.now() - 50;
    const ns = (query: Parameters<typeof bus.recent>[0]): unknown[] =>
      bus.recent(query).map(({ sequence }) => sequence);
    expect(ns({})).toEqual([2, 3, 4, 5]);
    expect(ns({ types: ['spec.fact'] })).toEqual([3, 5]);
    expect(ns({ types: ['spec.state'], limit: 1 })).toEqual([4]);
    expect(ns({ since: begin + 30 })).toEqual([4, 5]);
    expect(ns({ after: 3 })).toEqual([4, 5]);
    expect(ns({ after: 4, limit: 0 })).toEqual([]);
    bus.pause();
    bus.publish('spec.fact', { n: 6 });
    expect(ns({ after: 5 })).toEqual([6]);
  });

  it('tells how each subscription ended, once, after the call that ended it', async () => {
    const { bus } = await startedBusRoom();
    const ends: [string, EndReason][] = [];
    const abort = new AbortController();
    const note = (name: string) => ({ onEnd: (reason: EndReason) => void ends.push([name, reason]) });
    const one = bus.subscribe('one', ['spec.fact'], () => undefined, note('one'));
    bus.subscribe('two', ['spec.fact'], () => undefined, { ...note('two'), signal: abort.signal });
    bus.subscribe('three', ['spec.fact'], () => undefined, note('three'));
    one.unsubscribe();
    one.unsubscribe();
    abort.abort();
    expect(ends).toEqual([]);
    await bus.stop(NEVER);
    await settle();
    expect(ends).toEqual([
      ['one', 'unsubscribed'],
      ['two', 'aborted'],
      ['three', 'stopped'],
    ]);
  });
});

describe('the warning about late subscriptions', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('comes once for each name, and not for those who are late by design', async () => {
    const { bus } = makeBusRoom();
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const subscribe = (name: string, options = {}): void => {
      bus.subscribe(name, ['spec.fact'], () => undefined, options);
    };
    subscribe('early');
    await bus.start();
    for (const name of ['late', 'late', 'later']) subscribe(name);
    subscribe('lossy', { lossy: true });
    subscribe('leader', { leaderOnly: true });
    subscribe('reads everything', { lateByDesign: true });
    bus.pause();
    subscribe('while paused');
    const warned = warn.mock.calls.map(([line]) => (line as { subscription: string }).subscription);
    expect(warned).toEqual(['late', 'later']);
  });
});
