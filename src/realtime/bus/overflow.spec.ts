import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HeldHandler, startedBusRoom } from '../../../test/support/bus-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import type { CriticalDrop } from './drop-reporter.js';
import type { EndReason, OverflowPolicy } from './subscribe-options.js';

interface Queued {
  readonly n: number;
  readonly key: string | undefined;
}

/** What a subscription of one type has to do, in the plainest way. */
class Model {
  readonly seen: number[] = [];
  dropped = 0;
  superseded = 0;
  ended = false;
  private queued: Queued[] = [];
  private holds = false;

  constructor(
    private readonly policy: OverflowPolicy,
    private readonly bufferSize: number,
  ) {}

  /** Whether it took the event. */
  publish(arriving: Queued): boolean {
    if (this.ended) return false;
    if (this.queued.length === this.bufferSize && !this.makeRoom(arriving)) return false;
    this.queued.push(arriving);
    this.begin();
    return true;
  }

  release(): void {
    this.holds = false;
    this.begin();
  }

  private begin(): void {
    const next = this.holds || this.ended ? undefined : this.queued.shift();
    if (!next) return;
    this.seen.push(next.n);
    this.holds = true;
  }

  private makeRoom(arriving: Queued): boolean {
    if (this.policy === 'drop-newest' || this.policy === 'error') {
      this.ended = this.policy === 'error';
      this.dropped += 1 + (this.ended ? this.queued.length : 0);
      if (this.ended) this.queued = [];
      return false;
    }
    if (this.policy === 'coalesce') {
      const all = [...this.queued, arriving];
      const kept = this.queued.filter(
        ({ key }, index) => key === undefined || !all.slice(index + 1).some((later) => later.key === key),
      );
      this.superseded += this.queued.length - kept.length;
      this.queued = kept;
    }
    if (this.queued.length === this.bufferSize) {
      this.queued.shift();
      this.dropped += 1;
    }
    return true;
  }
}

const policies = fc.constantFrom<OverflowPolicy>('coalesce', 'drop-oldest', 'drop-newest', 'error');
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ key: fc.constantFrom('a', 'b', undefined) }) },
  { weight: 1, arbitrary: fc.constant('release' as const) },
);

describe('overflow of a subscription', () => {
  it('follows its policy, counts what is lost, and leaves its neighbour alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        policies,
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        fc.array(step, { maxLength: 40 }),
        async (overflow, bufferSize, lossy, steps) => {
          const { bus } = await startedBusRoom();
          const model = new Model(overflow, bufferSize);
          const handler = new HeldHandler();
          const neighbour: number[] = [];
          let told = 0;
          let toldCritical = 0;
          const ends: EndReason[] = [];
          bus.subscribe('held', ['spec.fact'], handler.handle, {
            bufferSize,
            overflow,
            lossy,
            onDropped: (count) => (told += count),
            onEnd: (reason) => ends.push(reason),
          });
          bus.subscribe('neighbour', ['spec.fact'], ({ payload }) => void neighbour.push(payload.n));
          bus.onCriticalDrop(({ count }) => (toldCritical += count));

          for (const [n, each] of steps.entries()) {
            if (each === 'release') {
              handler.release();
              model.release();
            } else {
              const { key } = each;
              const options = key === undefined ? {} : { coalesceKey: key };
              expect(bus.publish('spec.fact', { n }, options)).toBe(Number(model.publish({ n, key })) + 1);
            }
            await settle(1);
          }
          await settle();

          const { subscriptions, dropped } = bus.stats();
          const stats = subscriptions.get('held');
          expect(handler.seen).toEqual(model.seen);
          expect(stats).toMatchObject({ dropped: model.dropped, superseded: model.superseded });
          expect(ends).toEqual(model.ended ? ['overflow'] : []);
          expect(neighbour).toEqual([...steps.keys()].filter((n) => steps[n] !== 'release'));
          const [critical, observability] = lossy ? [0, model.dropped] : [model.dropped, 0];
          expect(dropped).toEqual({ critical, observability, total: model.dropped });
          expect(toldCritical).toBe(critical);
          if (!model.ended) expect(told).toBe(model.dropped);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('tells a critical drop after the publish, once a turn, with who lost what', async () => {
    const { bus } = await startedBusRoom();
    const handler = new HeldHandler();
    const drops: CriticalDrop[] = [];
    const stopTelling = bus.onCriticalDrop((drop) => drops.push(drop));
    bus.subscribe('held', ['spec.fact', 'spec.state'], handler.handle, { bufferSize: 2 });
    bus.publish('spec.state', { n: 0 });
    await settle();
    for (let n = 1; n <= 4; n += 1) bus.publish('spec.fact', { n });
    bus.publish('spec.state', { n: 5 });
    expect(drops).toEqual([]);
    await settle();
    const types = ['spec.fact', 'spec.state'];
    expect(drops).toEqual([{ eventType: 'spec.fact', subscription: 'held', types, bufferSize: 2, count: 3 }]);
    stopTelling();
    for (let n = 6; n <= 9; n += 1) bus.publish('spec.fact', { n });
    await settle();
    expect(drops).toHaveLength(1);
  });

  it('lets who is told publish, even what is lost again, and throw or reject, without harm or starving timers', async () => {
    const { bus } = await startedBusRoom();
    const handler = new HeldHandler();
    const told: number[] = [];
    bus.subscribe('held', ['spec.fact'], handler.handle, { bufferSize: 1, overflow: 'drop-newest' });
    const stopTelling = bus.onCriticalDrop(({ count }) => {
      bus.publish('spec.fact', { n: -1 });
      bus.publish('spec.fact', { n: -2 });
      throw new Error(`lost ${count}`);
    });
    bus.onCriticalDrop(() => Promise.reject(new Error('no')) as unknown as void);
    bus.onCriticalDrop(({ count }) => told.push(count));
    for (let n = 0; n < 4; n += 1) bus.publish('spec.fact', { n });
    await settle(20);
    // Else it would go on for ever.
    stopTelling();
    expect(told.slice(0, 3)).toEqual([3, 1, 2]);
    expect(told.length).toBeLessThan(30);
    expect(bus.stats().handlerErrors).toBeGreaterThanOrEqual(2 * told.length - 1);
    expect(handler.seen).toEqual([0]);
  });

  it('tells neither the losses of a lossy one, nor anybody within a publish', async () => {
    const { bus } = await startedBusRoom();
    const handler = new HeldHandler();
    const critical: CriticalDrop[] = [];
    const told: number[] = [];
    bus.onCriticalDrop((drop) => critical.push(drop));
    const options = { bufferSize: 1, lossy: true, onDropped: (count: number) => void told.push(count) };
    bus.subscribe('lossy', ['spec.fact'], handler.handle, options);
    for (let n = 0; n < 5; n += 1) bus.publish('spec.fact', { n });
    expect(told).toEqual([]);
    await settle();
    expect([critical, told]).toEqual([[], [4]]);
    expect(bus.stats().dropped).toEqual({ critical: 0, observability: 4, total: 4 });
  });

  it('ends one whose policy says so without disturbing the others that are told the same event', async () => {
    const { bus } = await startedBusRoom();
    const [first, second] = [new HeldHandler(), new HeldHandler()];
    const seen: number[] = [];
    const reasons: string[] = [];
    const options = { bufferSize: 1, overflow: 'error' as const };
    bus.subscribe('first', ['spec.fact'], first.handle, { ...options, onEnd: (reason) => reasons.push(reason) });
    bus.subscribe('second', ['spec.fact'], second.handle, { ...options, onEnd: (reason) => reasons.push(reason) });
    bus.subscribe('third', ['spec.fact'], ({ payload }) => void seen.push(payload.n));
    const taken: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      taken.push(bus.publish('spec.fact', { n }));
      expect(reasons).toEqual([]);
      if (n === 0) await settle();
    }
    await settle();
    expect(taken).toEqual([3, 3, 1]);
    expect(seen).toEqual([0, 1, 2]);
    expect(reasons).toEqual(['overflow', 'overflow']);
    expect(bus.publish('spec.fact', { n: 3 })).toBe(1);
  });

  it('lets no state supersede one of another type that has the same key', async () => {
    const { bus } = await startedBusRoom();
    const handler = new HeldHandler();
    bus.subscribe('both', ['spec.fact', 'spec.state'], handler.handle, { bufferSize: 2 });
    bus.publish('spec.fact', { n: 0 });
    await settle();
    bus.publish('spec.fact', { n: 1 }, { coalesceKey: 'k' });
    for (const n of [2, 3, 4]) bus.publish('spec.state', { n }, { coalesceKey: 'k' });
    for (let turn = 0; turn < 3; turn += 1) {
      handler.release();
      await settle();
    }
    expect(handler.seen).toEqual([0, 1, 4]);
    expect(bus.stats().dropped.total).toBe(0);
  });

  it('refuses a bound that is none', async () => {
    const { bus } = await startedBusRoom();
    expect(() => bus.subscribe('none', ['spec.fact'], () => undefined, { bufferSize: 0 })).toThrow(RangeError);
  });
});
