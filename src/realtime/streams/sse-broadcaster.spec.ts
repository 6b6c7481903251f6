import '../../../test/support/quiet-logger.js';
import { describe, expect, it } from '@jest/globals';
import { configDefaults } from '../../../test/support/config-defaults.js';
import { FakeClock, settle } from '../../../test/support/fake-clock.js';
import { FakeStreamClient } from '../../../test/support/fake-stream-client.js';
import { FakeStreamTopic } from '../../../test/support/fake-stream-topic.js';
import type { Principal } from '../../auth/principal.js';
import { AppError } from '../../errors/app-error.js';
import { type RealtimeConfig, realtimeConfig } from '../realtime.config.js';
import { SseBroadcaster } from './sse-broadcaster.js';

const VIEWER: Principal = { kind: 'user', id: 'eve', role: 'viewer', tenantId: 'default' };
const KEY = 'workflow:1';
const HALF = { float: () => 0.5, bytes: () => Buffer.from('e0c4', 'hex'), uuid: () => '' };
const NEVER = new AbortController().signal;

function setUp(values: Partial<RealtimeConfig> = {}) {
  const clock = new FakeClock();
  const broadcaster = new SseBroadcaster(clock, HALF, configDefaults(realtimeConfig, values));
  const topic = new FakeStreamTopic(broadcaster);
  const connect = async (
    options: { keys?: string[]; principal?: Principal; durationMs?: number; highWaterMark?: number } = {},
  ): Promise<FakeStreamClient> => {
    const { keys = [KEY], principal = VIEWER, highWaterMark, ...rest } = options;
    const client = new FakeStreamClient(highWaterMark);
    broadcaster.open(client.response, principal, await broadcaster.authorize(principal, keys), rest);
    await settle();
    return client;
  };
  return { clock, broadcaster, topic, connect };
}

describe('SseBroadcaster', () => {
  it('sends the snapshot, then each change in the envelope, with ids of one sequence', async () => {
    const { topic, connect } = setUp();
    topic.change(KEY, 'a');
    const client = await connect();
    topic.change(KEY, 'a');
    topic.change('workflow:2', 'other');
    topic.change(KEY, 'b');
    await settle();
    expect(client.parser.retry).toBe(3_000);
    const timestamp = '2026-01-01T00:00:00.000Z';
    const common = { type: 'workflow', streamKey: KEY, timestamp };
    const item = { entity: 'a', eventType: 'node_update', data: { entity: 'a', version: 1, padding: '' } };
    expect(client.events).toEqual([
      { ...common, id: 'e0c4.2', eventType: 'snapshot', data: { part: 1, last: true, items: [item] } },
      { ...common, id: 'e0c4.3', eventType: 'node_update', data: { entity: 'a', version: 2, padding: '' } },
      { ...common, id: 'e0c4.5', eventType: 'node_update', data: { entity: 'b', version: 1, padding: '' } },
    ]);
    expect(client.eventTypes).toEqual(['snapshot', 'node_update', 'node_update']);
  });

  it('carries many keys on one connection, resumable only after the last snapshot', async () => {
    const { broadcaster, topic, connect } = setUp();
    topic.change(KEY, 'a');
    const client = await connect({ keys: [KEY, 'workflow:2'] });
    topic.change('workflow:2', 'a');
    topic.change(KEY, 'a');
    await settle();
    expect(client.events.map(({ streamKey, eventType, id }) => [streamKey, eventType, id])).toEqual([
      [KEY, 'snapshot', 'e0c4.0'],
      ['workflow:2', 'snapshot', 'e0c4.3'],
      ['workflow:2', 'node_update', 'e0c4.4'],
      [KEY, 'node_update', 'e0c4.5'],
    ]);
    client.destroy();
    await settle();
    expect(broadcaster.stats()).toMatchObject({ sessions: 0, sessionsByTopic: {} });
  });

  it('gives a tenant nothing of another one', async () => {
    const { topic, connect } = setUp();
    const own = await connect();
    const all = await connect({ principal: { ...VIEWER, tenantId: '*' } });
    topic.change(KEY, 'a', { tenantId: 'other' });
    topic.change(KEY, 'b');
    await settle();
    expect(own.events.slice(1).map(({ data }) => data.entity)).toEqual(['b']);
    expect(all.events.slice(1).map(({ data }) => data.entity)).toEqual(['a', 'b']);
  });

  it('sends a snapshot larger than the bound in parts, as fast as the client takes it, without a lag', async () => {
    const { broadcaster, topic } = setUp({ streamQueueBytes: 1_024, streamQueueEvents: 4 });
    for (let n = 0; n < 500; n += 1) topic.change(KEY, `e${n}`, { padding: 1_000 });
    const client = new FakeStreamClient(1);
    client.stick();
    broadcaster.open(client.response, VIEWER, await broadcaster.authorize(VIEWER, [KEY]));
    await settle();
    expect(client.writableLength).toBeLessThan(66 * 1_024);
    client.release();
    await settle(100);
    const parts = client.events.map(({ data }) => data as { part: number; last: boolean; items: unknown[] });
    expect(parts.map(({ part }) => part)).toEqual(parts.map((_, index) => index + 1));
    expect(parts.map(({ last }) => last)).toEqual(parts.map((_, index) => index === parts.length - 1));
    expect(parts.flatMap(({ items }) => items)).toHaveLength(500);
    for (const { data } of client.parser.events) expect(Buffer.byteLength(data)).toBeLessThanOrEqual(64 * 1_024);
    expect(client.events.map(({ id }) => id).slice(-2)).toEqual(['e0c4.0', 'e0c4.501']);
    expect(broadcaster.stats().totals).toMatchObject({ lagged: 0, snapshots: 1 });
  });

  it('tells a slow client how much it missed, then the state anew, while others get every change', async () => {
    const { broadcaster, topic, connect } = setUp({ streamQueueEvents: 10 });
    const slow = await connect({ highWaterMark: 1 });
    const healthy = await connect();
    slow.stick();
    for (let n = 0; n < 50; n += 1) {
      topic.change(KEY, `e${n}`);
      await settle(1);
    }
    expect(topic.reads).toBe(2);
    slow.release();
    await settle(20);
    expect(healthy.events).toHaveLength(51);
    // One was in the socket, the rest is more than fits.
    expect(slow.eventTypes).toEqual(['snapshot', 'node_update', 'lagged', 'snapshot']);
    expect(slow.events[2]).toMatchObject({ type: 'stream', data: { dropped: 49 } });
    expect(slow.events[3]?.data.items).toHaveLength(50);
    expect(broadcaster.stats()).toMatchObject({ queuedEvents: 0, queuedBytes: 0, totals: { lagged: 1, dropped: 49 } });
    topic.change(KEY, 'e0');
    await settle();
    expect(slow.events.at(-1)?.data).toMatchObject({ entity: 'e0', version: 2 });
  });

  it('coalesces the state of one thing for a slow client, without a lag', async () => {
    const { broadcaster, topic, connect } = setUp({ streamQueueEvents: 10 });
    const slow = await connect({ highWaterMark: 1 });
    slow.stick();
    topic.change(KEY, 'first');
    await settle(1);
    for (let n = 0; n < 1_000; n += 1) topic.change(KEY, `e${n % 5}`);
    slow.release();
    await settle();
    expect(slow.eventTypes).not.toContain('lagged');
    const last = new Map(slow.events.slice(1).map(({ data }) => [data.entity, data.version]));
    expect(Object.fromEntries(last)).toEqual({ first: 1, e0: 200, e1: 200, e2: 200, e3: 200, e4: 200 });
    expect(broadcaster.stats().totals.dropped).toBe(0);
  });

  it('gives a client that reads every change of a burst larger than its bound', async () => {
    const { broadcaster, topic, connect } = setUp({ streamQueueEvents: 10 });
    const client = await connect({ highWaterMark: 1 << 20 });
    for (let n = 0; n < 500; n += 1) topic.change(KEY, `e${n % 3}`);
    await settle();
    expect(client.events).toHaveLength(501);
    expect(broadcaster.stats().totals).toMatchObject({ coalesced: 0, dropped: 0, lagged: 0 });
  });

  it('bounds what all slow clients hold back together, and spares those that read', async () => {
    const { broadcaster, topic, connect } = setUp({ streamBudgetBytes: 10_000 });
    const slow = await Promise.all(Array.from({ length: 10 }, () => connect({ highWaterMark: 1 })));
    const healthy = await connect();
    for (const each of slow) each.stick();
    for (let n = 0; n < 100; n += 1) {
      topic.change(KEY, `e${n}`, { padding: 100 });
      await settle(1);
      expect(broadcaster.stats().queuedBytes).toBeLessThanOrEqual(10_000);
    }
    expect(healthy.events).toHaveLength(101);
    for (const each of slow) each.release();
    await settle(20);
    for (const each of slow) expect(each.eventTypes.slice(-2)).toEqual(['lagged', 'snapshot']);
  });

  it('keeps idle streams alive: a heartbeat when all is told, a comment while a snapshot is awaited', async () => {
    const { clock, broadcaster, topic, connect } = setUp();
    await broadcaster.start();
    const idle = await connect();
    const waiting = Promise.withResolvers<void>();
    topic.gate = waiting.promise;
    const joining = await connect();
    await clock.advance(10_000);
    topic.change(KEY, 'a');
    await clock.advance(14_000);
    expect(idle.eventTypes).toEqual(['snapshot', 'node_update']);
    await clock.advance(1_000);
    expect(idle.events.at(-1)).toMatchObject({
      id: 'e0c4.3',
      eventType: 'heartbeat',
      data: { time: '2026-01-01T00:00:25.000Z' },
    });
    expect(joining.parser.comments).toEqual([' keep-alive']);
    expect(joining.events).toEqual([]);
    waiting.resolve();
    await settle();
    expect(joining.eventTypes).toEqual(['snapshot']);
  });

  it('cuts a client that takes nothing for 20 s while data waits, and no other', async () => {
    const { clock, broadcaster, topic, connect } = setUp();
    await broadcaster.start();
    const stuck = await connect({ highWaterMark: 1 });
    const slow = await connect({ highWaterMark: 1 });
    const behind = await connect();
    const healthy = await connect();
    for (const each of [stuck, slow, behind]) each.stick();
    for (let second = 0; second < 19; second += 1) {
      topic.change(KEY, 'a');
      await clock.advance(1_000);
      if (second === 10) slow.readOnce();
      // As much comes as it takes, so what waits for it never gets less.
      if (second > 1) behind.readOnce();
    }
    expect(stuck.destroyed).toBe(false);
    await clock.advance(2_000);
    expect([stuck, slow, behind, healthy].map((client) => client.destroyed)).toEqual([true, false, false, false]);
    expect(broadcaster.stats()).toMatchObject({ sessions: 3, totals: { stalled: 1 } });
  });

  it('ends a stream cleanly at its duration and at its jittered maximum age', async () => {
    const { clock, broadcaster, connect } = setUp({ streamMaxAgeMs: 60_000 });
    await broadcaster.start();
    const short = await connect({ durationMs: 5_000 });
    const long = await connect();
    await clock.advance(5_000);
    expect([short, long].map((client) => client.writableFinished)).toEqual([true, false]);
    await clock.advance(56_000);
    expect(long.writableFinished).toBe(true);
    expect(long.eventTypes.at(-1)).toBe('heartbeat');
    expect(broadcaster.stats().sessions).toBe(0);
    await broadcaster.stop(NEVER);
    expect(clock.pendingTimers).toBe(0);
  });

  it('says goodbye at stop after everything that was published, and to those who come during it', async () => {
    const { broadcaster, topic, connect, clock } = setUp();
    await broadcaster.start();
    const client = await connect();
    topic.change(KEY, 'a');
    topic.change(KEY, 'b');
    const stopped = broadcaster.stop(NEVER);
    const late = await connect();
    await stopped;
    expect(client.eventTypes).toEqual(['snapshot', 'node_update', 'node_update', 'shutdown']);
    expect(client.events.at(-1)).toMatchObject({ id: 'e0c4.3', data: { retryMs: 3_000 } });
    expect(client.writableFinished).toBe(true);
    expect(late.eventTypes).toEqual(['shutdown']);
    expect(late.writableFinished).toBe(true);
    expect(broadcaster.stats().sessions).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('waits at stop for a client that still reads, and cuts at the deadline one that does not', async () => {
    const { broadcaster, connect } = setUp();
    const slow = await connect({ highWaterMark: 1 });
    const stuck = await connect({ highWaterMark: 1 });
    slow.stick();
    stuck.stick();
    const deadline = new AbortController();
    let stopped = false;
    const stopping = broadcaster.stop(deadline.signal).then(() => (stopped = true));
    await settle();
    expect(stopped).toBe(false);
    slow.release();
    await settle();
    expect(slow.eventTypes.at(-1)).toBe('shutdown');
    expect([slow.writableFinished, stuck.destroyed, stopped]).toEqual([true, false, false]);
    deadline.abort();
    await stopping;
    expect([stuck.destroyed, stuck.writableFinished]).toEqual([true, false]);
    expect(broadcaster.stats().sessions).toBe(0);
  });

  it('unregisters at once a client that leaves while its snapshot is read', async () => {
    const { broadcaster, topic, connect } = setUp();
    const reading = Promise.withResolvers<void>();
    topic.gate = reading.promise;
    const client = await connect();
    client.destroy();
    await settle();
    expect(broadcaster.stats().sessions).toBe(0);
    topic.change(KEY, 'a');
    reading.resolve();
    await settle();
    expect(client.events).toEqual([]);
    expect(broadcaster.stats()).toMatchObject({ queuedBytes: 0, totals: { snapshots: 0 } });
  });

  it('ends the stream when a snapshot cannot be read, so that the client comes back', async () => {
    const { broadcaster, topic, connect } = setUp();
    const reading = Promise.withResolvers<void>();
    topic.gate = reading.promise;
    const client = await connect();
    topic.failure = new Error('store is away');
    reading.resolve();
    await settle();
    expect([client.writableFinished, client.events]).toEqual([true, []]);
    expect(broadcaster.stats().sessions).toBe(0);
  });

  it('ends the streams whose snapshot takes too long, and reads it anew for those who come back', async () => {
    const { clock, topic, connect } = setUp();
    topic.gate = Promise.withResolvers<void>().promise;
    const client = await connect();
    topic.gate = Promise.resolve();
    const next = await connect();
    await clock.advance(30_000);
    expect([client.writableFinished, client.events]).toEqual([true, []]);
    expect(next.eventTypes).toEqual(['snapshot']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('refuses more streams of a principal than allowed, until one ends', async () => {
    const { connect } = setUp({ streamsPerPrincipal: 2 });
    const [first] = [await connect(), await connect()];
    const refused = await connect().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(AppError);
    expect(refused).toMatchObject({ code: 'stream.limit', status: 429, headers: { 'Retry-After': '3' } });
    await connect({ principal: { ...VIEWER, tenantId: 'other' } });
    first.destroy();
    await settle();
    expect((await connect()).eventTypes).toEqual(['snapshot']);
  });

  it('knows no key without a topic, and no topic twice', async () => {
    const { broadcaster, topic } = setUp();
    for (const key of ['nothing:1', 'nothing', 'workflow:', 'workflow:missing', '']) {
      await expect(broadcaster.authorize(VIEWER, [KEY, key])).rejects.toMatchObject({ code: 'resource.not_found' });
    }
    const left = await broadcaster.authorize(VIEWER, [KEY, 'workflow:missing'], { dropGone: true });
    expect(left.map(({ streamKey }) => streamKey)).toEqual([KEY]);
    await expect(broadcaster.authorize(VIEWER, ['workflow:missing'], { dropGone: true })).rejects.toMatchObject({
      code: 'resource.not_found',
    });
    expect(() => broadcaster.registerTopic(topic)).toThrow('registered already');
  });

  it('survives data that is no JSON', async () => {
    const { broadcaster, connect, topic } = setUp();
    const client = await connect();
    broadcaster.publish(KEY, 'default', { eventType: 'node_update', entity: 'x', version: 1, data: { n: 1n } });
    topic.change(KEY, 'a');
    await settle();
    expect(client.eventTypes).toEqual(['snapshot', 'node_update']);
  });
});
