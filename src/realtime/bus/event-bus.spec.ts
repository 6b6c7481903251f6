import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { makeBusRoom, NEVER } from '../../../test/support/bus-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import type { EventBus } from './event-bus.js';

function makeBus(eventBufferSize = 1_000): EventBus {
  return makeBusRoom({ eventBufferSize }).bus;
}

async function startedBus(): Promise<EventBus> {
  const bus = makeBus();
  await bus.start();
  return bus;
}

/** A handler that takes one event and holds it until it is released. */
function gate(): { handler: () => Promise<void>; release: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { handler: () => promise, release: resolve };
}

describe('EventBus', () => {
  it('gives events of the types asked for, in order, after the turn of the publisher', async () => {
    const bus = await startedBus();
    const seen: string[] = [];
    bus.subscribe('both', ['spec.fact', 'spec.state'], (event) => void seen.push(`${event.type} ${event.payload.n}`));
    bus.subscribe('facts', ['spec.fact'], (event) => void seen.push(`only ${event.payload.n}`));

    expect(bus.publish('spec.fact', { n: 1 })).toBe(2);
    expect(bus.publish('spec.state', { n: 2 }, { coalesceKey: 'k' })).toBe(1);
    expect(bus.publish('service.started', { at: '' })).toBe(0);
    expect(seen).toEqual([]);
    await settle();
    expect(seen).toEqual(['spec.fact 1', 'spec.state 2', 'only 1']);
  });

  it('replays what was published before the start, once, before anything else, also into a smaller queue', async () => {
    const bus = makeBus(5);
    const seen: number[] = [];
    const dropped: number[] = [];
    bus.subscribe('small', ['spec.fact'], (event) => void seen.push(event.payload.n), {
      bufferSize: 1,
      onDropped: (count) => dropped.push(count),
    });
    for (let n = 1; n <= 7; n += 1) expect(bus.publish('spec.fact', { n })).toBe(0);
    await settle();
    expect(seen).toEqual([]);

    await bus.start();
    bus.publish('spec.fact', { n: 8 });
    await settle();
    await bus.start();
    await settle();
    expect(seen).toEqual([3, 4, 5, 6, 7, 8]);
    expect(dropped).toEqual([]);
    expect(bus.stats().unrouted).toBe(2);
  });

  it('keeps one order for all when handlers publish', async () => {
    const bus = await startedBus();
    const orders: number[][] = [[], [], []];
    for (const [index, order] of orders.entries()) {
      bus.subscribe(`s${index}`, ['spec.fact'], ({ payload: { n } }) => {
        order.push(n);
        if (index === 0 && n < 100) bus.publish('spec.fact', { n: n + 100 });
      });
    }
    for (let n = 1; n <= 3; n += 1) bus.publish('spec.fact', { n });
    await settle();
    expect(orders[0]).toEqual([1, 2, 3, 101, 102, 103]);
    expect(orders[1]).toEqual(orders[0]);
    expect(orders[2]).toEqual(orders[0]);
  });

  it('lets timers run although a handler publishes to itself for ever', async () => {
    const bus = await startedBus();
    let count = 0;
    const subscription = bus.subscribe('loop', ['spec.fact'], ({ payload: { n } }) => {
      count += 1;
      bus.publish('spec.fact', { n: n + 1 });
    });
    bus.publish('spec.fact', { n: 0 });
    await settle(3);
    expect(count).toBeGreaterThan(64);
    subscription.unsubscribe();
    const after = count;
    await settle(3);
    expect(count).toBe(after);
  });

  it('counts a handler that throws or rejects, and harms nobody else', async () => {
    const bus = await startedBus();
    const seen: number[] = [];
    bus.subscribe('throws', ['spec.fact'], () => {
      throw new Error('no');
    });
    bus.subscribe('rejects', ['spec.fact'], () => Promise.reject(new Error('no')));
    bus.subscribe('works', ['spec.fact'], (event) => void seen.push(event.payload.n));
    for (let n = 1; n <= 3; n += 1) expect(bus.publish('spec.fact', { n })).toBe(3);
    await settle();
    expect(seen).toEqual([1, 2, 3]);
    const { subscriptions } = bus.stats();
    expect(['throws', 'rejects', 'works'].map((name) => subscriptions.get(name)?.errors)).toEqual([3, 3, 0]);
  });

  it('handles one event at a time, and the next when the promise settles', async () => {
    const bus = await startedBus();
    const gates = [gate(), gate()];
    const begun: number[] = [];
    bus.subscribe('slow', ['spec.fact'], ({ payload: { n } }) => {
      begun.push(n);
      return gates[n]?.handler();
    });
    bus.publish('spec.fact', { n: 0 });
    bus.publish('spec.fact', { n: 1 });
    await settle();
    expect(begun).toEqual([0]);
    gates[0]?.release();
    await settle();
    expect(begun).toEqual([0, 1]);
  });

  it('gives a slow subscriber the last state of each thing, and every fact in its place', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', undefined), { minLength: 1, maxLength: 60 }),
        async (keys) => {
          const bus = await startedBus();
          const { handler, release } = gate();
          const seen: { n: number; key: string | undefined }[] = [];
          const facts = keys.filter((key) => key === undefined).length;
          bus.subscribe(
            'slow',
            ['spec.fact'],
            ({ payload: { n }, coalesceKey }) => {
              if (n < 0) return handler();
              seen.push({ n, key: coalesceKey });
              return undefined;
            },
            { bufferSize: facts + 2 },
          );
          bus.publish('spec.fact', { n: -1 });
          await settle(1);
          for (const [n, key] of keys.entries()) {
            bus.publish('spec.fact', { n }, key === undefined ? {} : { coalesceKey: key });
          }
          release();
          await settle(2);
          const order = seen.map(({ n }) => n);
          expect(order).toEqual(order.toSorted((x, y) => x - y));
          expect(seen.filter(({ key }) => key === undefined)).toHaveLength(facts);
          for (const key of new Set(keys)) {
            expect(seen.findLast((each) => each.key === key)?.n).toBe(keys.lastIndexOf(key));
          }
          expect(bus.stats().subscriptions.get('slow')?.dropped).toBe(0);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('drops the oldest when a queue is full, counts it and tells it, once a turn; the listener may publish', async () => {
    const bus = await startedBus();
    const { handler, release } = gate();
    const seen: number[] = [];
    const dropped: number[] = [];
    bus.subscribe(
      'slow',
      ['spec.fact'],
      ({ payload: { n } }) => {
        seen.push(n);
        return n === 0 ? handler() : undefined;
      },
      {
        bufferSize: 3,
        overflow: 'drop-oldest',
        onDropped: (count) => {
          dropped.push(count);
          bus.publish('spec.state', { n: count });
        },
      },
    );
    bus.publish('spec.fact', { n: 0 });
    await settle();
    for (let n = 1; n <= 10; n += 1) expect(bus.publish('spec.fact', { n }, { coalesceKey: 'k' })).toBe(1);
    release();
    await settle();
    expect(seen).toEqual([0, 8, 9, 10]);
    expect(dropped).toEqual([7]);
    expect(bus.stats().subscriptions.get('slow')).toMatchObject({ dropped: 7, superseded: 0, handled: 4, depth: 0 });
  });

  it('leaves nothing behind after unsubscribe or abort', async () => {
    const bus = await startedBus();
    const abort = new AbortController();
    const seen: number[] = [];
    const first = bus.subscribe('first', ['spec.fact'], (event) => void seen.push(event.payload.n));
    const second = bus.subscribe('second', ['spec.fact', 'spec.state'], (event) => void seen.push(event.payload.n), {
      signal: abort.signal,
    });
    bus.publish('spec.fact', { n: 1 });
    first.unsubscribe();
    first.unsubscribe();
    abort.abort();
    await settle();
    expect(seen).toEqual([]);
    expect([first.closed, second.closed]).toEqual([true, true]);
    expect(bus.publish('spec.fact', { n: 2 })).toBe(0);
    expect(bus.stats().subscriptions.get('second')).toMatchObject({ active: 0, depth: 0 });
    expect(bus.subscribe('late', ['spec.fact'], () => undefined, { signal: abort.signal }).closed).toBe(true);
    expect(bus.publish('spec.fact', { n: 3 })).toBe(0);
  });

  it('lets go of the signal of who unsubscribes', async () => {
    const bus = await startedBus();
    const { signal } = new AbortController();
    const subscription = bus.subscribe('first', ['spec.fact'], () => undefined, { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    subscription.unsubscribe();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('stops after everything was handled, also what handlers published meanwhile', async () => {
    const bus = await startedBus();
    const seen: number[] = [];
    bus.subscribe('chain', ['spec.fact'], async ({ payload: { n } }) => {
      await settle(1);
      seen.push(n);
      if (n < 3) bus.publish('spec.fact', { n: n + 1 });
    });
    bus.publish('spec.fact', { n: 1 });
    await bus.stop(NEVER);
    expect(seen).toEqual([1, 2, 3]);
    expect(bus.publish('spec.fact', { n: 9 })).toBe(0);
    expect(bus.stats().unrouted).toBe(1);
  });

  it('stops at the deadline although a handler hangs', async () => {
    const bus = await startedBus();
    const deadline = new AbortController();
    bus.subscribe('hangs', ['spec.fact'], gate().handler);
    bus.publish('spec.fact', { n: 1 });
    await settle();
    const stopped = bus.stop(deadline.signal);
    deadline.abort();
    await stopped;
    expect(bus.stats().subscriptions.get('hangs')?.active).toBe(0);
  });
});
