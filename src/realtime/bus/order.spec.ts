import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { makeBusRoom, NEVER, startedBusRoom } from '../../../test/support/bus-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import type { EventType } from './event-map.js';

const types = fc.subarray<EventType>(['spec.fact', 'spec.state'], { minLength: 1 });

const script = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        publish: fc.constantFrom<EventType>('spec.fact', 'spec.state'),
        key: fc.constantFrom('a', 'b', undefined),
        /** How many generations of events the handlers publish in turn. */
        echo: fc.nat({ max: 2 }),
      }),
    },
    { weight: 1, arbitrary: fc.constantFrom('pause' as const, 'start' as const) },
    { weight: 1, arbitrary: fc.record({ join: types }) },
    { weight: 2, arbitrary: fc.constant('turn' as const) },
  ),
  { maxLength: 60 },
);

interface Subscriber {
  readonly types: readonly EventType[];
  /** It has a right to what is published after this one. */
  readonly after: number;
  readonly seen: number[];
}

describe('order of events', () => {
  it('is the same for all, without loss or repeat, though handlers publish, lag, fail and come late, and the bus pauses', async () => {
    await fc.assert(
      fc.asyncProperty(
        script,
        fc.array(fc.constantFrom('sync', 'async', 'fails'), { minLength: 1 }),
        async (steps, manners) => {
          const { bus } = makeBusRoom();
          const published: { sequence: number; type: EventType }[] = [];
          const subscribers: Subscriber[] = [];
          let pausedAt: number | undefined = 0;

          const publish = (type: EventType, echo: number, key?: string): void => {
            published.push({ sequence: published.length + 1, type });
            bus.publish(type as 'spec.fact', { n: echo }, key === undefined ? {} : { coalesceKey: key });
          };
          const join = (wanted: readonly EventType[]): void => {
            const seen: number[] = [];
            const index = subscribers.length;
            const manner = manners[index % manners.length];
            subscribers.push({ types: wanted, after: pausedAt ?? published.length, seen });
            bus.subscribe(
              `subscriber ${index}`,
              wanted,
              async ({ sequence, type, payload }) => {
                seen.push(sequence);
                if (index === 0 && 'n' in payload && payload.n > 0) publish(type, payload.n - 1);
                if (manner === 'fails') throw new Error('no');
                if (manner === 'async' && sequence % 3 === 0) await settle(1);
              },
              { lateByDesign: true },
            );
          };

          join(['spec.fact', 'spec.state']);
          join(['spec.state']);
          for (const step of steps) {
            if (step === 'turn') {
              await settle(1);
            } else if (step === 'start') {
              await bus.start();
              pausedAt = undefined;
            } else if (step === 'pause') {
              // It has no effect before the first start.
              pausedAt ??= published.length;
              bus.pause();
            } else if ('join' in step) {
              join(step.join);
            } else {
              publish(step.publish, step.echo, step.key);
            }
          }
          await bus.start();
          await bus.stop(NEVER);

          for (const { types: wanted, after, seen } of subscribers) {
            const due = published.filter(({ sequence, type }) => sequence > after && wanted.includes(type));
            expect(seen).toEqual(due.map(({ sequence }) => sequence));
          }
          const { subscriptions, dropped, unrouted } = bus.stats();
          expect([dropped.total, unrouted]).toEqual([0, 0]);
          expect(
            [...subscriptions.values()].map(({ active, depth }) => active + depth).every((left) => left === 0),
          ).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('keeps what one subscriber could not handle yet before what was published during a pause', async () => {
    const { bus } = await startedBusRoom();
    const seen: number[] = [];
    bus.subscribe('slow', ['spec.fact'], async ({ payload }) => {
      await settle(1);
      seen.push(payload.n);
    });
    bus.publish('spec.fact', { n: 1 });
    bus.publish('spec.fact', { n: 2 });
    bus.pause();
    bus.publish('spec.fact', { n: 3 });
    expect(bus.isPaused).toBe(true);
    await settle(1);
    await bus.start();
    bus.publish('spec.fact', { n: 4 });
    bus.pause();
    bus.publish('spec.fact', { n: 5 });
    await bus.start();
    await settle(20);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  it('lets timers run although an asynchronous handler publishes to itself for ever', async () => {
    const { bus } = await startedBusRoom();
    let count = 0;
    const subscription = bus.subscribe('loop', ['spec.fact'], async ({ payload: { n } }) => {
      count += 1;
      bus.publish('spec.fact', { n: n + 1 });
    });
    bus.publish('spec.fact', { n: 0 });
    await settle(3);
    expect(count).toBeGreaterThan(64);
    subscription.unsubscribe();
  });
});
