import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CoalescingQueue } from './coalescing-queue.js';

interface Item {
  readonly order: number;
  readonly key: string | undefined;
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ offer: fc.constantFrom('a', 'b', 'c', undefined), bytes: fc.nat({ max: 4 }) }),
    },
    { weight: 1, arbitrary: fc.constant('shift' as const) },
  ),
  { maxLength: 120 },
);

function drain(queue: CoalescingQueue<Item>): Item[] {
  const items: Item[] = [];
  for (let item = queue.shift(); item; item = queue.shift()) items.push(item);
  return items;
}

describe('CoalescingQueue', () => {
  it('keeps order and bounds, loses only superseded state, and refuses only when nothing is superseded', () => {
    fc.assert(
      fc.property(
        steps,
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 4, max: 12 }),
        (script, maxItems, maxBytes) => {
          const queue = new CoalescingQueue<Item>({ maxItems, maxBytes });
          const taken: Item[] = [];
          const out: Item[] = [];
          for (const [order, step] of script.entries()) {
            if (step === 'shift') {
              const item = queue.shift();
              if (item) out.push(item);
              continue;
            }
            const item = { order, key: step.offer };
            if (queue.offer(item, step.offer, step.bytes)) taken.push(item);
            expect(queue.length).toBeLessThanOrEqual(maxItems);
            expect(queue.bytes).toBeLessThanOrEqual(maxBytes);
          }
          out.push(...drain(queue));
          expect(queue.bytes).toBe(0);

          const orders = out.map((item) => item.order);
          expect(orders).toEqual(orders.toSorted((a, b) => a - b));
          const missing = taken.filter((item) => !out.includes(item));
          expect(missing.length).toBe(queue.coalesced);
          for (const item of missing) {
            expect(item.key).toBeDefined();
            // A later state of the key was offered: it came through, or was refused, which its owner has to handle as a loss.
            expect(
              script.some((step, order) => step !== 'shift' && step.offer === item.key && order > item.order),
            ).toBe(true);
          }
        },
      ),
    );
  });

  it('keeps everything while there is room', () => {
    const queue = new CoalescingQueue<string>({ maxItems: 4 });
    for (const state of ['a1', 'a2', 'b1', 'a3']) queue.offer(state, state[0]);
    expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual(['a1', 'a2', 'b1', 'a3']);
    expect(queue.coalesced).toBe(0);
  });

  it('forgets superseded state when full, and never lets state overtake a fact', () => {
    const queue = new CoalescingQueue<string>({ maxItems: 4 });
    queue.offer('a1', 'a');
    queue.offer('fact');
    queue.offer('a2', 'a');
    queue.offer('b1', 'b');
    expect(queue.offer('b2', 'b')).toBe(true);
    expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual(['fact', 'a2', 'b2', undefined]);
    expect(queue.coalesced).toBe(2);
  });

  it('refuses one more when nothing is superseded', () => {
    const queue = new CoalescingQueue<string>({ maxItems: 2 });
    queue.offer('a1', 'a');
    queue.offer('fact');
    expect(queue.offer('b1', 'b')).toBe(false);
    expect(queue.offer('a2', 'a')).toBe(true);
    expect([queue.shift(), queue.shift()]).toEqual(['fact', 'a2']);
  });

  it('removes what is named from anywhere, and goes on counting right', () => {
    const queue = new CoalescingQueue<string>({ maxItems: 3, maxBytes: 30 });
    for (const state of ['a1', 'b1', 'a2']) queue.offer(state, state[0], 10);
    queue.remove((state) => state === 'a1');
    expect(queue.bytes).toBe(20);
    expect(queue.offer('c1', 'c', 10)).toBe(true);
    expect(queue.offer('d1', 'd', 10)).toBe(false);
  });
});
