import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HeldHandler, makeBusRoom, NEVER, startedBusRoom } from '../../../test/support/bus-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import type { EndReason } from './subscribe-options.js';

describe('leader-only subscriptions', () => {
  it('wait, get the last event of each key in the order of publication, then live ones, and end with leadership', async () => {
    const { bus, leadership } = await startedBusRoom();
    const seen: number[] = [];
    const reasons: EndReason[] = [];
    const subscription = bus.subscribe('leader', ['spec.state'], ({ payload }) => void seen.push(payload.n), {
      leaderOnly: true,
      onEnd: (reason) => reasons.push(reason),
    });
    for (const [n, coalesceKey] of [
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
      [4, 'a'],
    ] as const) {
      expect(bus.publish('spec.state', { n }, { coalesceKey })).toBe(0);
    }
    bus.publish('spec.state', { n: 5 }, { coalesceKey: 'b', tombstone: true });
    bus.publish('spec.state', { n: 6 });
    await settle();
    expect(seen).toEqual([]);
    expect(bus.openSubscriptions()[0]?.state).toBe('waiting');

    leadership.change(true);
    await settle();
    expect(bus.publish('spec.state', { n: 7 }, { coalesceKey: 'c' })).toBe(1);
    await settle();
    expect(seen).toEqual([3, 4, 7]);

    leadership.change(false);
    await settle();
    expect([subscription.closed, reasons]).toEqual([true, ['leadership_lost']]);
    expect(bus.publish('spec.state', { n: 8 })).toBe(0);
    expect(leadership.listening).toBe(0);
  });

  it('begin at once, and before live events with what is retained, where leadership is held already', async () => {
    const { bus, leadership } = await startedBusRoom();
    bus.retain(['spec.state']);
    leadership.change(true);
    bus.publish('spec.state', { n: 1 }, { coalesceKey: 'a' });
    bus.publish('spec.fact', { n: 2 }, { coalesceKey: 'a' });
    const seen: number[] = [];
    bus.subscribe('leader', ['spec.state', 'spec.fact'], ({ payload }) => void seen.push(payload.n), {
      leaderOnly: true,
    });
    bus.publish('spec.fact', { n: 3 });
    await settle();
    expect(seen).toEqual([1, 3]);
    expect(bus.stats().retained.keys).toBe(1);
  });

  it('get the retained state at their pace, whatever their bound', async () => {
    const { bus, leadership } = await startedBusRoom();
    const handler = new HeldHandler();
    const options = { leaderOnly: true, bufferSize: 1, overflow: 'error' as const };
    bus.subscribe('leader', ['spec.state'], handler.handle, options);
    for (let n = 0; n < 50; n += 1) bus.publish('spec.state', { n }, { coalesceKey: `${n}` });
    leadership.change(true);
    for (let n = 0; n < 50; n += 1) {
      await settle(1);
      handler.release();
    }
    await settle();
    expect(handler.seen).toEqual([...Array(50).keys()]);
  });

  it('can be lossy, and end by their signal while they wait', async () => {
    const { bus, leadership } = await startedBusRoom();
    const abort = new AbortController();
    const reasons: EndReason[] = [];
    const seen: number[] = [];
    const subscription = bus.subscribe('leader', ['spec.state'], ({ payload }) => void seen.push(payload.n), {
      leaderOnly: true,
      lossy: true,
      signal: abort.signal,
      onEnd: (reason) => reasons.push(reason),
    });
    expect(leadership.listening).toBe(1);
    abort.abort();
    leadership.change(true);
    bus.publish('spec.state', { n: 1 });
    await settle();
    expect([subscription.closed, seen, reasons, leadership.listening]).toEqual([true, [], ['aborted'], 0]);
  });

  it('forgets the least recently updated key beyond the bound, and counts it', async () => {
    const { bus, leadership } = await startedBusRoom({ eventRetainedKeys: 2 });
    bus.retain(['spec.state']);
    for (const [n, coalesceKey] of [
      [1, 'a'],
      [2, 'b'],
      [3, 'a'],
      [4, 'c'],
    ] as const) {
      bus.publish('spec.state', { n }, { coalesceKey });
    }
    const seen: number[] = [];
    leadership.change(true);
    bus.subscribe('leader', ['spec.state'], ({ payload }) => void seen.push(payload.n), { leaderOnly: true });
    await settle();
    expect(seen).toEqual([3, 4]);
    expect(bus.stats().retained).toEqual({ keys: 2, maxKeys: 2, evicted: 1 });
  });

  it('knows the last state even if a full buffer lost the event', async () => {
    const { bus, leadership } = makeBusRoom({ eventBufferSize: 1 });
    bus.retain(['spec.state']);
    bus.publish('spec.state', { n: 1 }, { coalesceKey: 'a' });
    bus.publish('spec.fact', { n: 2 });
    await bus.start();
    leadership.change(true);
    const seen: number[] = [];
    bus.subscribe('leader', ['spec.state'], ({ payload }) => void seen.push(payload.n), { leaderOnly: true });
    await settle();
    expect(seen).toEqual([1]);
  });

  it('begins nobody for a leadership that is lost again before it is told', async () => {
    const { bus, leadership } = await startedBusRoom();
    const subscription = bus.subscribe('leader', ['spec.state'], () => undefined, { leaderOnly: true });
    leadership.change(true);
    leadership.change(false);
    await settle();
    expect([subscription.closed, bus.openSubscriptions()[0]?.state]).toEqual([false, 'waiting']);
    await bus.stop(NEVER);
    expect([subscription.closed, leadership.listening]).toEqual([true, 0]);
  });

  it('miss, repeat and overtake nothing, however leadership and the bus come and go', async () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ key: fc.constantFrom('a', 'b', 'c', undefined), tombstone: fc.boolean() }),
      },
      { weight: 1, arbitrary: fc.constantFrom('win' as const, 'lose' as const) },
      { weight: 1, arbitrary: fc.constantFrom('pause' as const, 'start' as const) },
      { weight: 2, arbitrary: fc.constant('turn' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, slow) => {
        const { bus, leadership } = makeBusRoom();
        /** What each term has a right to, and what it got. A term that is lost may end before it got all. */
        const terms: { due: number[]; seen: number[]; lost: boolean }[] = [];
        const retained = new Map<string, number>();
        let buffered: (readonly [n: number, key: string | undefined, tombstone: boolean])[] = [];
        let running = false;
        let seen: number[] = [];

        const deliver = (n: number, key: string | undefined, tombstone: boolean): void => {
          if (key !== undefined) retained.delete(key);
          if (key !== undefined && !tombstone) retained.set(key, n);
          const term = terms.at(-1);
          if (term && !term.lost) term.due.push(n);
        };
        const lead = (): void => {
          const own: number[] = [];
          seen = own;
          bus.subscribe(
            'leader',
            ['spec.state'],
            async ({ payload }) => {
              own.push(payload.n);
              if (slow) await settle(1);
            },
            { leaderOnly: true, onEnd: (reason) => reason === 'leadership_lost' && lead() },
          );
        };
        lead();

        for (const [n, each] of [...steps, 'start' as const].entries()) {
          if (each === 'turn') {
            await settle(1);
          } else if (each === 'win' || each === 'lose') {
            const before = seen;
            leadership.change(each === 'win');
            for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
            const open = terms.findLast(({ lost }) => !lost);
            if (each === 'win' && !open) terms.push({ due: [...retained.values()], seen: before, lost: false });
            if (each === 'lose' && open) open.lost = true;
          } else if (each === 'pause') {
            running = false;
            bus.pause();
          } else if (each === 'start') {
            running = true;
            for (const event of buffered) deliver(...event);
            buffered = [];
            await bus.start();
          } else {
            const { key, tombstone } = each;
            bus.publish('spec.state', { n }, key === undefined ? {} : { coalesceKey: key, tombstone });
            if (running) deliver(n, key, tombstone);
            else buffered.push([n, key, tombstone]);
          }
        }
        await bus.stop(NEVER);
        for (const term of terms) {
          if (term.lost) expect(term.seen).toEqual(term.due.slice(0, term.seen.length));
          else expect(term.seen).toEqual(term.due);
        }
      }),
      { numRuns: 200 },
    );
  });
});
