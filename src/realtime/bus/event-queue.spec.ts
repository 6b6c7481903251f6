import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { BusEvent } from './bus-event.js';
import { EventQueue, keyWithType, plainKey } from './event-queue.js';

const event = (sequence: number, coalesceKey?: string, type: 'spec.fact' | 'spec.state' = 'spec.fact'): BusEvent => ({
  type,
  payload: { n: sequence },
  sequence,
  timestamp: 0,
  coalesceKey,
});

function drain(queue: EventQueue): BusEvent[] {
  const events: BusEvent[] = [];
  for (let next = queue.shift(); next; next = queue.shift()) events.push(next);
  return events;
}

const sequences = (events: readonly BusEvent[]): number[] => events.map(({ sequence }) => sequence);

/** The same in the plainest way. */
class Model {
  queued: BusEvent[] = [];
  superseded = 0;

  constructor(private readonly maxEvents: number) {}

  push(arriving: BusEvent): boolean {
    if (this.queued.length >= this.maxEvents) {
      const all = [...this.queued, arriving];
      const kept = this.queued.filter(
        ({ coalesceKey }, index) =>
          coalesceKey === undefined || !all.slice(index + 1).some((later) => later.coalesceKey === coalesceKey),
      );
      this.superseded += this.queued.length - kept.length;
      this.queued = kept;
    }
    if (this.queued.length >= this.maxEvents) return false;
    this.queued.push(arriving);
    return true;
  }
}

describe('EventQueue', () => {
  it('does what the plain model does, whatever is pushed and shifted', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ push: fc.constantFrom('a', 'b', 'c', undefined) }) },
      { weight: 1, arbitrary: fc.constant('shift' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), fc.integer({ min: 1, max: 40 }), (steps, maxEvents) => {
        const queue = new EventQueue(maxEvents, plainKey);
        const model = new Model(maxEvents);
        let most = 0;
        for (const [index, each] of steps.entries()) {
          if (each === 'shift') {
            expect(queue.peek()).toBe(model.queued[0]);
            expect(queue.shift()).toBe(model.queued.shift());
          } else {
            const arriving = event(index, each.push);
            expect(queue.push(arriving)).toBe(model.push(arriving));
          }
          most = Math.max(most, model.queued.length);
          expect([queue.length, queue.superseded, queue.peak]).toEqual([model.queued.length, model.superseded, most]);
        }
        expect(drain(queue)).toEqual(model.queued);
      }),
    );
  });

  it('keeps everything while there is room', () => {
    const queue = new EventQueue(3, plainKey);
    for (let n = 1; n <= 3; n += 1) queue.push(event(n, 'a'));
    expect(sequences(drain(queue))).toEqual([1, 2, 3]);
  });

  it('forgets superseded state when full, and never lets state overtake a fact', () => {
    const queue = new EventQueue(4, plainKey);
    for (const each of [event(1, 'a'), event(2), event(3, 'a'), event(4, 'b'), event(5, 'b')]) {
      expect(queue.push(each)).toBe(true);
    }
    expect(sequences(drain(queue))).toEqual([2, 3, 5]);
    expect(queue.superseded).toBe(2);
  });

  it('refuses without keys what a full queue has no room for', () => {
    const queue = new EventQueue(1);
    expect([queue.push(event(1, 'a')), queue.push(event(2, 'a'))]).toEqual([true, false]);
    queue.clear();
    expect([queue.length, queue.peek(), queue.push(event(3))]).toEqual([0, undefined, true]);
  });

  it('lets no state supersede one of another type, where types meet', () => {
    const queue = new EventQueue(2, keyWithType);
    queue.push(event(1, 'a', 'spec.fact'));
    queue.push(event(2, 'a', 'spec.state'));
    expect(queue.push(event(3, 'b'))).toBe(false);
    expect(queue.push(event(4, 'a', 'spec.fact'))).toBe(true);
    expect(sequences(drain(queue))).toEqual([2, 4]);
  });
});
