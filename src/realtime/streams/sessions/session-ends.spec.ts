import '../../../../test/support/quiet-logger.js';
import { describe, expect, it } from '@jest/globals';
import { configDefaults } from '../../../../test/support/config-defaults.js';
import { FakeClock, settle } from '../../../../test/support/fake-clock.js';
import { FakeStreamClient } from '../../../../test/support/fake-stream-client.js';
import { FakeStreamTopic } from '../../../../test/support/fake-stream-topic.js';
import type { Principal } from '../../../auth/principal.js';
import { CryptoRandom } from '../../../runtime/random.js';
import { type RealtimeConfig, realtimeConfig } from '../../realtime.config.js';
import { type OpenOptions, SseBroadcaster } from '../sse-broadcaster.js';

const VIEWER: Principal = { kind: 'user', id: 'eve', role: 'viewer', tenantId: 'default' };
const KEY = 'workflow:1';
const NEVER = new AbortController().signal;

function setUp(values: Partial<RealtimeConfig> = {}) {
  const clock = new FakeClock();
  const config = configDefaults(realtimeConfig, { streamsPerPrincipal: 100_000, ...values });
  const broadcaster = new SseBroadcaster(clock, new CryptoRandom(), config);
  const topic = new FakeStreamTopic(broadcaster);
  const connect = async (
    options: OpenOptions = {},
    keys = [KEY],
    highWaterMark?: number,
  ): Promise<FakeStreamClient> => {
    const client = new FakeStreamClient(highWaterMark);
    broadcaster.open(client.response, VIEWER, await broadcaster.authorize(VIEWER, keys), options);
    await settle();
    return client;
  };
  const many = async (count: number): Promise<FakeStreamClient[]> => {
    const topics = await broadcaster.authorize(VIEWER, [KEY]);
    const clients = Array.from({ length: count }, () => new FakeStreamClient());
    for (const { response } of clients) broadcaster.open(response, VIEWER, topics);
    await settle(2 + (3 * count) / 256);
    return clients;
  };
  return { clock, broadcaster, topic, connect, many };
}

describe('the begin and end of streams', () => {
  it('are told once: the begin with the first event, not before', async () => {
    const { broadcaster, topic, connect } = setUp();
    const told: string[] = [];
    const options = { onStarted: () => told.push('started'), onClosed: () => told.push('closed') };
    const gate = Promise.withResolvers<void>();
    topic.gate = gate.promise;
    const client = await connect(options);
    expect(told).toEqual([]);
    gate.resolve();
    topic.change(KEY, 'a');
    await settle();
    expect(told).toEqual(['started']);
    client.destroy();
    await settle();
    expect(told).toEqual(['started', 'closed']);
    const gone = new FakeStreamClient();
    gone.destroy();
    broadcaster.open(gone.response, VIEWER, await broadcaster.authorize(VIEWER, [KEY]), options);
    expect(told).toEqual(['started', 'closed', 'closed']);
    await broadcaster.stop(NEVER);
    await connect(options);
    expect(told.slice(3)).toEqual(['started', 'closed']);
  });

  it('never lets two streams of one connection live together', async () => {
    const { broadcaster, connect } = setUp({ streamsPerPrincipal: 1 });
    let closed = 0;
    const old = await connect({ connection: 'ticket 1', onClosed: () => (closed += 1) });
    const newer = await connect({ connection: 'ticket 1' });
    expect([old.destroyed, closed, newer.destroyed]).toEqual([true, 1, false]);
    expect(broadcaster.stats().sessions).toBe(1);
    const head = new FakeStreamClient();
    head.req.method = 'HEAD';
    const topics = await broadcaster.authorize(VIEWER, [KEY]);
    expect(() => broadcaster.open(head.response, VIEWER, topics, { connection: 'ticket 1' })).toThrow('streams open');
    expect(newer.destroyed).toBe(false);
    newer.destroy();
    await settle();
    expect((await connect({ connection: 'ticket 1' })).eventTypes).toEqual(['snapshot']);
  });

  it('ends what follows nothing but a thing that is gone, after its last change', async () => {
    const { broadcaster, topic, connect } = setUp();
    const only = await connect();
    const both = await connect({}, [KEY, 'workflow:2']);
    topic.change(KEY, 'gone');
    broadcaster.retire(KEY);
    await settle();
    expect([only.eventTypes, only.writableFinished]).toEqual([['snapshot', 'node_update'], true]);
    expect(both.writableFinished).toBe(false);
    broadcaster.retire('workflow:2');
    broadcaster.retire('workflow:unknown');
    await settle();
    expect(both.writableFinished).toBe(true);
    expect(broadcaster.stats().sessions).toBe(0);
  });

  it('waits with the end for a slow client to have the last change', async () => {
    const { broadcaster, topic, connect } = setUp();
    const slow = await connect({}, [KEY], 1);
    slow.stick();
    topic.change(KEY, 'a');
    await settle();
    broadcaster.publish(KEY, 'default', { eventType: 'run_update', entity: 'r', version: 1, data: {}, final: true });
    await settle();
    expect(slow.writableEnded).toBe(false);
    slow.release();
    await settle();
    expect([slow.eventTypes.at(-1), slow.writableFinished]).toEqual(['run_update', true]);
  });

  it('ends a stream of many keys when each has brought its last change, and answers a return with 204', async () => {
    const { broadcaster, connect } = setUp();
    const keys = [KEY, 'workflow:2'];
    const client = await connect({}, keys);
    const end = (key: string): void =>
      broadcaster.publish(key, 'default', { eventType: 'run_update', entity: key, version: 1, data: {}, final: true });
    end(KEY);
    await settle();
    expect(client.writableEnded).toBe(false);
    const between = client.events.at(-1)?.id ?? '';
    end('workflow:2');
    await settle();
    expect(client.writableFinished).toBe(true);
    expect((await connect({ lastEventId: client.events.at(-1)?.id ?? '' }, keys)).status).toBe(204);
    // One that missed an end gets it first.
    const late = await connect({ lastEventId: between }, keys);
    expect([late.status, late.eventTypes, late.writableFinished]).toEqual([200, ['run_update'], true]);
  });

  it('says goodbye to few at once, and to many spread over the time given', async () => {
    const few = setUp();
    await few.many(20);
    await few.broadcaster.stop(NEVER);
    const { clock, broadcaster, many } = setUp();
    const clients = await many(1_000);
    const ended = (): number => clients.filter(({ writableEnded }) => writableEnded).length;
    const stopped = broadcaster.stop(NEVER, 1_000);
    await settle();
    expect(ended()).toBe(50);
    await clock.advance(500);
    expect(ended()).toBe(550);
    await clock.advance(450);
    await stopped;
    for (const { eventTypes } of clients) expect(eventTypes).toEqual(['snapshot', 'shutdown']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('cuts at the deadline even those whose goodbye was not due', async () => {
    const { clock, broadcaster, many } = setUp();
    const clients = await many(1_000);
    const deadline = new AbortController();
    const stopped = broadcaster.stop(deadline.signal, 10_000);
    await settle();
    deadline.abort();
    await stopped;
    expect(clients.every(({ destroyed }) => destroyed)).toBe(true);
    expect(broadcaster.stats().sessions).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('many streams', () => {
  it('are written in slices, each stream in order', async () => {
    const { topic, many } = setUp();
    const clients = await many(1_000);
    topic.change(KEY, 'a');
    await settle(1);
    const served = clients.filter(({ events }) => events.length > 1).length;
    expect(served).toBeGreaterThan(0);
    expect(served).toBeLessThanOrEqual(256);
    topic.change(KEY, 'b');
    await settle(12);
    for (const { events } of clients) expect(events.slice(1).map(({ data }) => data.entity)).toEqual(['a', 'b']);
  });

  it('are held to their bound while they are stuck, not only when they read again', async () => {
    const { broadcaster, topic, connect } = setUp({ streamQueueBytes: 10_000 });
    const stuck = await connect({}, [KEY], 1);
    const healthy = await connect();
    stuck.stick();
    for (let n = 0; n < 100; n += 1) {
      topic.change(KEY, `e${n}`, { padding: 1_000 });
      await settle(1);
      expect(broadcaster.stats().queuedBytes).toBeLessThan(12_000);
    }
    expect(broadcaster.stats()).toMatchObject({ slowSessions: 0, queuedBytes: 0, totals: { dropped: 9, lagged: 0 } });
    stuck.release();
    await settle(20);
    expect(stuck.eventTypes.slice(0, 4)).toEqual(['snapshot', 'node_update', 'lagged', 'snapshot']);
    expect(stuck.events[2]?.data.dropped).toBe(99);
    expect(healthy.events).toHaveLength(101);
  });

  it('lose what is held for the largest first when the budget is used up', async () => {
    const { broadcaster, topic, connect } = setUp({ streamBudgetBytes: 20_000 });
    const large = await connect({}, [KEY], 1);
    const small = await connect({}, ['workflow:2'], 1);
    for (const each of [large, small]) each.stick();
    topic.change('workflow:2', 'x');
    await settle();
    topic.change('workflow:2', 'y');
    for (let n = 0; n < 50; n += 1) {
      topic.change(KEY, `e${n}`, { padding: 1_000 });
      await settle(1);
      expect(broadcaster.stats().queuedBytes).toBeLessThanOrEqual(20_000);
    }
    for (const each of [large, small]) each.release();
    await settle(20);
    expect(large.eventTypes.slice(-2)).toEqual(['lagged', 'snapshot']);
    expect(small.eventTypes).toEqual(['snapshot', 'node_update', 'node_update']);
  });
});
