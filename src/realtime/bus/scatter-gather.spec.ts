import '../../../test/support/quiet-logger.js';
import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FakeClock, settle } from '../../../test/support/fake-clock.js';
import { EventBus } from './event-bus.js';
import { RequestOver } from './gathering.js';
import { EventBusPaused } from './scatter-gather.js';

declare module './request-map.js' {
  interface RequestMap {
    'spec.double': { request: { readonly n: number }; answer: number };
  }
}

const NEVER = new AbortController().signal;
const hangs = (): Promise<number> => Promise.withResolvers<number>().promise;

let clock: FakeClock;
let bus: EventBus;

async function startBus(): Promise<void> {
  clock = new FakeClock();
  bus = new EventBus(clock, { eventBufferSize: 10, eventRequestTimeoutMs: 10_000 });
  await bus.start();
}

function respond(...names: string[]): void {
  for (const name of names) bus.respond('spec.double', name, ({ n }) => n * 2);
}

describe('request and respond', () => {
  afterEach(() => {
    expect(clock.pendingTimers).toBe(0);
    expect(bus.stats().requests.pending).toBe(0);
  });

  it('asks all that are expected, and gathers their answers by name', async () => {
    await startBus();
    respond('a', 'b');
    const { answers, missing, errors } = await bus.request('spec.double', { n: 21 }, { responders: ['a', 'b'] });
    expect([...answers]).toEqual([
      ['a', 42],
      ['b', 42],
    ]);
    expect([missing, errors.size]).toEqual([[], 0]);
  });

  it('ends with what there is at the timeout, names who is missing, and tells their handlers', async () => {
    await startBus();
    respond('quick');
    const told: unknown[] = [];
    bus.respond('spec.double', 'hangs', (_, signal) => {
      signal.addEventListener('abort', () => told.push(signal.reason));
      return hangs();
    });
    const result = bus.request('spec.double', { n: 1 }, { responders: ['hangs', 'quick'] });
    await clock.advance(9_999);
    expect(told).toEqual([]);
    await clock.advance(1);
    const { answers, missing } = await result;
    expect([[...answers.keys()], missing]).toEqual([['quick'], ['hangs']]);
    expect(told).toEqual([expect.any(RequestOver)]);
    expect(bus.stats().requests.timedOut).toBe(1);
  });

  it('takes the timeout that the asker names', async () => {
    await startBus();
    bus.respond('spec.double', 'hangs', hangs);
    const result = bus.request('spec.double', { n: 1 }, { responders: ['hangs'], timeoutMs: 50 });
    await clock.advance(50);
    expect((await result).missing).toEqual(['hangs']);
  });

  it('counts neither strangers, who are not even called, nor second answers', async () => {
    await startBus();
    respond('asked', 'asked');
    bus.respond('spec.double', 'other', hangs);
    let strangers = 0;
    bus.respond('spec.double', 'stranger', () => (strangers += 1));
    const result = bus.request('spec.double', { n: 1 }, { responders: ['asked', 'other'] });
    await settle();
    await clock.advance(10_000);
    const { answers, missing } = await result;
    expect([[...answers], missing, strangers]).toEqual([[['asked', 2]], ['other'], 0]);
    expect(bus.stats().requests).toMatchObject({ strangers: 1, duplicates: 1 });
  });

  it('keeps a failure as that responder’s part of the result, thrown or rejected', async () => {
    await startBus();
    respond('works');
    const [thrown, rejected] = [new Error('thrown'), new Error('rejected')];
    bus.respond('spec.double', 'throws', () => {
      throw thrown;
    });
    bus.respond('spec.double', 'rejects', () => Promise.reject(rejected));
    const result = await bus.request('spec.double', { n: 4 }, { responders: ['works', 'throws', 'rejects'] });
    expect([...result.answers]).toEqual([['works', 8]]);
    expect([...result.errors]).toEqual([
      ['throws', thrown],
      ['rejects', rejected],
    ]);
    expect(result.missing).toEqual([]);
  });

  it('is content with enough answers, and does not count failures as such', async () => {
    await startBus();
    bus.respond('spec.double', 'hangs', hangs);
    bus.respond('spec.double', 'fails', () => Promise.reject(new Error('no')));
    respond('a');
    const responders = ['hangs', 'fails', 'a'];
    const { answers, missing, errors } = await bus.request('spec.double', { n: 1 }, { responders, minAnswers: 1 });
    expect([[...answers.keys()], missing, [...errors.keys()]]).toEqual([['a'], ['hangs'], ['fails']]);
    await expect(bus.request('spec.double', { n: 1 }, { responders, minAnswers: 0 })).rejects.toThrow(RangeError);
  });

  it('waits neither for those who are not there nor for those who leave meanwhile', async () => {
    await startBus();
    const leave = new AbortController();
    bus.respond('spec.double', 'leaves', hangs, { signal: leave.signal });
    respond('stays');
    const result = bus.request('spec.double', { n: 1 }, { responders: ['nobody', 'leaves', 'stays'] });
    await settle();
    leave.abort();
    const { answers, missing } = await result;
    expect([[...answers.keys()], missing]).toEqual([['stays'], ['nobody', 'leaves']]);
    expect((await bus.request('spec.double', { n: 1 }, { responders: [] })).missing).toEqual([]);
  });

  it('gives up with the reason of the signal, which also reaches the handlers, and leaves nothing behind', async () => {
    await startBus();
    const asker = new AbortController();
    respond('a');
    await bus.request('spec.double', { n: 1 }, { responders: ['a'], signal: asker.signal });
    expect(getEventListeners(asker.signal, 'abort')).toHaveLength(0);
    let seen: AbortSignal | undefined;
    bus.respond('spec.double', 'hangs', (_, signal) => {
      seen = signal;
      return hangs();
    });
    const reason = new Error('the client left');
    const options = { responders: ['hangs'], signal: asker.signal };
    const result = bus.request('spec.double', { n: 1 }, options);
    await settle();
    expect(seen?.aborted).toBe(false);
    asker.abort(reason);
    await expect(result).rejects.toBe(reason);
    expect(seen?.aborted).toBe(true);
    expect(getEventListeners(asker.signal, 'abort')).toHaveLength(0);
    await expect(bus.request('spec.double', { n: 1 }, options)).rejects.toBe(reason);
  });

  it('fails at once before the start and after the stop', async () => {
    clock = new FakeClock();
    bus = new EventBus(clock, { eventBufferSize: 10 });
    respond('a');
    await expect(bus.request('spec.double', { n: 1 }, { responders: ['a'] })).rejects.toThrow(EventBusPaused);
    await bus.start();
    await bus.stop(NEVER);
    await expect(bus.request('spec.double', { n: 1 }, { responders: ['a'] })).rejects.toThrow('stopped');
  });

  it('lets a stop wait for an answer, and ends what hangs at its deadline', async () => {
    await startBus();
    const gate = Promise.withResolvers<number>();
    bus.respond('spec.double', 'slow', () => gate.promise);
    bus.respond('spec.double', 'hangs', hangs);
    const slow = bus.request('spec.double', { n: 1 }, { responders: ['slow'] });
    const hung = bus.request('spec.double', { n: 1 }, { responders: ['hangs'] });
    await settle();
    const deadline = new AbortController();
    const stopped = bus.stop(deadline.signal);
    gate.resolve(7);
    expect([...(await slow).answers.values()]).toEqual([7]);
    deadline.abort();
    await stopped;
    await expect(hung).rejects.toThrow(EventBusPaused);
  });

  it('works on several requests at a time, within the bound of the responder', async () => {
    await startBus();
    const gates = new Map<number, PromiseWithResolvers<number>>();
    bus.respond(
      'spec.double',
      'slow',
      ({ n }) => {
        const gate = Promise.withResolvers<number>();
        gates.set(n, gate);
        return gate.promise;
      },
      { concurrency: 2 },
    );
    const results = [1, 2, 3].map((n) => bus.request('spec.double', { n }, { responders: ['slow'] }));
    await settle();
    expect([...gates.keys()]).toEqual([1, 2]);
    gates.get(2)?.resolve(4);
    await settle();
    expect([...gates.keys()]).toEqual([1, 2, 3]);
    gates.get(1)?.resolve(2);
    gates.get(3)?.resolve(6);
    const answers = await Promise.all(results);
    expect(answers.map((result) => result.answers.get('slow'))).toEqual([2, 4, 6]);
  });

  it('does not begin what nobody waits for any more', async () => {
    await startBus();
    const gate = Promise.withResolvers<number>();
    const begun: number[] = [];
    const handler = ({ n }: { n: number }): Promise<number> => {
      begun.push(n);
      return n === 1 ? gate.promise : Promise.resolve(n);
    };
    bus.respond('spec.double', 'slow', handler, { concurrency: 1 });
    const results = [1, 2].map((n) => bus.request('spec.double', { n }, { responders: ['slow'] }));
    await clock.advance(10_000);
    await Promise.all(results);
    gate.resolve(1);
    await settle();
    expect(begun).toEqual([1]);
    expect(bus.stats().requests.late).toBe(1);
  });

  it('puts each responder into exactly one part of the result, and ends as soon as it can', async () => {
    const behaviour = fc.constantFrom('answers', 'answers late', 'fails', 'hangs', 'absent');
    await fc.assert(
      fc.asyncProperty(
        fc.array(behaviour, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 7 }),
        async (behaviours, minAnswers) => {
          await startBus();
          const responders = behaviours.map((each, index) => `${each} ${index}`);
          for (const [index, each] of behaviours.entries()) {
            if (each === 'absent') continue;
            bus.respond('spec.double', `${each} ${index}`, async ({ n }) => {
              if (each === 'fails') throw new Error('no');
              if (each === 'hangs') return hangs();
              if (each === 'answers late') await clock.sleep(500);
              return n * 2;
            });
          }
          let over = false;
          const asked = bus.request('spec.double', { n: 1 }, { responders, minAnswers, timeoutMs: 1_000 });
          void asked.then(() => (over = true));
          const count = (name: string): number => behaviours.filter((each) => each === name).length;
          const needed = Math.min(minAnswers, responders.length);
          await clock.advance(0);
          expect(over).toBe(count('answers') >= needed || count('hangs') + count('answers late') === 0);
          await clock.advance(500);
          expect(over).toBe(count('answers') + count('answers late') >= needed || count('hangs') === 0);
          await clock.advance(500);
          const { answers, errors, missing } = await asked;
          expect([...answers.keys(), ...errors.keys(), ...missing].toSorted()).toEqual(responders.toSorted());
          expect([...answers.keys()].every((name) => name.startsWith('answers'))).toBe(true);
          expect([...errors.keys()].every((name) => name.startsWith('fails'))).toBe(true);
          expect(clock.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('does not show the question to the other subscribers', async () => {
    await startBus();
    respond('a');
    const seen: unknown[] = [];
    bus.subscribe('curious', ['request:spec.double'], ({ payload }) => void seen.push(payload));
    await bus.request('spec.double', { n: 123_456 }, { responders: ['a'] });
    await settle();
    expect(seen).toEqual([{ requestId: 1, responders: ['a'] }]);
  });
});
