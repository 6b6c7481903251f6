import '../../../test/support/quiet-logger.js';
import { describe, expect, it } from '@jest/globals';
import { configDefaults } from '../../../test/support/config-defaults.js';
import { FakeClock, settle } from '../../../test/support/fake-clock.js';
import { FakeStreamClient } from '../../../test/support/fake-stream-client.js';
import { FakeStreamTopic } from '../../../test/support/fake-stream-topic.js';
import type { Principal } from '../../auth/principal.js';
import { CryptoRandom } from '../../runtime/random.js';
import { type RealtimeConfig, realtimeConfig } from '../realtime.config.js';
import { SseBroadcaster } from './sse-broadcaster.js';

const VIEWER: Principal = { kind: 'user', id: 'eve', role: 'viewer', tenantId: 'default' };
const KEY = 'workflow:1';
const OTHER = 'workflow:2';

function setUp(values: Partial<RealtimeConfig> = {}) {
  const clock = new FakeClock();
  const broadcaster = new SseBroadcaster(clock, new CryptoRandom(), configDefaults(realtimeConfig, values));
  const topic = new FakeStreamTopic(broadcaster);
  const connect = async (
    options: { keys?: string[]; lastEventId?: string | undefined; isStuck?: boolean } = {},
  ): Promise<FakeStreamClient> => {
    const { keys = [KEY], lastEventId, isStuck = false } = options;
    const client = new FakeStreamClient(isStuck ? 1 : undefined);
    if (isStuck) client.stick();
    const topics = await broadcaster.authorize(VIEWER, keys);
    broadcaster.open(client.response, VIEWER, topics, lastEventId === undefined ? {} : { lastEventId });
    await settle();
    return client;
  };
  const leave = async (client: FakeStreamClient): Promise<string | undefined> => {
    client.destroy();
    await settle();
    return client.events.at(-1)?.id;
  };
  return { clock, broadcaster, topic, connect, leave };
}

const entities = (client: FakeStreamClient): unknown[] => client.events.map(({ data }) => data.entity);

describe('resuming a stream', () => {
  it('goes on after the last event, without a snapshot, first with what was missed', async () => {
    const { broadcaster, topic, connect, leave } = setUp();
    const first = await connect();
    topic.change(KEY, 'a');
    await settle();
    const lastEventId = await leave(first);
    topic.change(KEY, 'b');
    topic.change(OTHER, 'x');
    topic.change(KEY, 'c');
    const second = await connect({ lastEventId });
    topic.change(KEY, 'd');
    await settle();
    expect(entities(second)).toEqual(['b', 'c', 'd']);
    expect(second.eventTypes).toEqual(['node_update', 'node_update', 'node_update']);
    expect(broadcaster.stats()).toMatchObject({ warmKeys: 1, replayEvents: 4, totals: { resumed: 1, replayed: 2 } });
    expect(topic.reads).toBe(1);
  });

  it('goes on after a heartbeat, and after the snapshot itself', async () => {
    const { clock, broadcaster, topic, connect, leave } = setUp();
    await broadcaster.start();
    const lastEventId = await leave(await connect());
    const second = await connect({ lastEventId });
    await clock.advance(16_000);
    expect(second.eventTypes).toEqual(['heartbeat']);
    const heartbeatId = await leave(second);
    topic.change(KEY, 'a');
    expect(entities(await connect({ lastEventId: heartbeatId }))).toEqual(['a']);
  });

  it.each([
    ['of another process', (id: string) => id.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))],
    ['that is not there yet', (id: string) => id.replace(/\d+$/, '999')],
    ['of no place', (id: string) => id.replace(/\d+$/, '0')],
    ['with a sign', (id: string) => id.replace('.', '.+')],
    ['with a zero before it', (id: string) => id.replace('.', '.0')],
    ['with a fraction', (id: string) => `${id}.5`],
    ['with more digits than a number has', (id: string) => id.replace(/\d+$/, '9'.repeat(17))],
    ['of endless length', (id: string) => id + '1'.repeat(100_000)],
    ['that is empty', () => ''],
    ['that is nonsense', () => '../../etc/passwd\n'],
  ])('begins with a snapshot for an id %s', async (_, change) => {
    const { topic, connect, leave } = setUp();
    const first = await connect();
    topic.change(KEY, 'a');
    await settle();
    const id = await leave(first);
    expect((await connect({ lastEventId: change(id ?? '') })).eventTypes).toEqual(['snapshot']);
    expect((await connect({ lastEventId: id })).eventTypes).toEqual([]);
  });

  it('begins with a snapshot when the ring does not reach back, but not for what happened to other keys', async () => {
    const { broadcaster, topic, connect, leave } = setUp({ streamReplayEvents: 5 });
    const quiet = await connect({ keys: [OTHER] });
    const first = await connect();
    topic.change(OTHER, 'x');
    topic.change(KEY, 'first');
    await settle();
    const [quietId, id] = [await leave(quiet), await leave(first)];
    for (let n = 0; n < 10; n += 1) topic.change(KEY, `e${n}`);
    expect((await connect({ lastEventId: id })).eventTypes).toEqual(['snapshot']);
    expect((await connect({ keys: [OTHER], lastEventId: quietId })).eventTypes).toEqual([]);
    expect(broadcaster.stats()).toMatchObject({ replayEvents: 5, replayEvicted: 7 });
  });

  it('keeps a key warm for the window after its last reader, then lets go of it', async () => {
    const { clock, broadcaster, topic, connect, leave } = setUp({ streamReplayWindowMs: 60_000 });
    await broadcaster.start();
    const id = await leave(await connect());
    await clock.advance(59_000);
    topic.change(KEY, 'a');
    const second = await connect({ lastEventId: id });
    expect(entities(second)).toEqual(['a']);
    const later = await leave(second);
    await clock.advance(62_000);
    expect(broadcaster.stats()).toMatchObject({ warmKeys: 0, replayEvents: 0, replayBytes: 0 });
    expect((await connect({ lastEventId: later })).eventTypes).toEqual(['snapshot']);
  });

  it('does not even encode a change that nobody can read', async () => {
    const { broadcaster } = setUp();
    let encoded = 0;
    const data = { toJSON: () => (encoded += 1) };
    broadcaster.publish(KEY, 'default', { eventType: 'node_update', entity: 'a', version: 1, data });
    expect(encoded).toBe(0);
    expect(broadcaster.stats()).toMatchObject({ published: 1, warmKeys: 0, replayEvents: 0 });
  });

  it('replays at the pace of the client, however much more than its bound', async () => {
    const { broadcaster, topic, connect, leave } = setUp({ streamQueueEvents: 5, streamQueueBytes: 1_024 });
    const id = await leave(await connect());
    for (let n = 0; n < 500; n += 1) topic.change(KEY, `e${n}`, { padding: 1_000 });
    const slow = await connect({ lastEventId: id, isStuck: true });
    for (let n = 0; n < 100; n += 1) {
      slow.readOnce();
      await settle(1);
      expect(slow.writableLength).toBeLessThan(20_000);
    }
    slow.release();
    await settle(50);
    expect(entities(slow)).toEqual(Array.from({ length: 500 }, (_, n) => `e${n}`));
    expect(broadcaster.stats()).toMatchObject({ slowSessions: 0, queuedBytes: 0, totals: { lagged: 0, coalesced: 0 } });
  });

  it('gives no id to resume from while a later snapshot shows more', async () => {
    const { broadcaster, topic, connect } = setUp();
    await connect({ keys: [OTHER] });
    const gate = Promise.withResolvers<void>();
    topic.gate = gate.promise;
    const client = await connect({ keys: [KEY, OTHER] });
    gate.resolve();
    // The first snapshot is read but not written yet, so the second one is read later.
    for (let step = 0; step < 10; step += 1) await Promise.resolve();
    topic.change(KEY, 'a');
    topic.change(OTHER, 'x');
    await settle();
    // `x` of the second key is in its snapshot: whoever resumed from `a` would get it again.
    const ids = client.events.map(({ eventType, id }) => [eventType, id.endsWith('.0')]);
    expect(ids.slice(0, 3)).toEqual([
      ['snapshot', true],
      ['snapshot', true],
      ['node_update', true],
    ]);
    topic.change(KEY, 'b');
    await settle();
    const last = client.events.at(-1);
    expect([last?.data.entity, last?.id.endsWith('.0')]).toEqual(['b', false]);
    expect(broadcaster.stats().totals.snapshots).toBe(3);
  });

  it('brings a change to one that resumed while a snapshot was read for another that shows it', async () => {
    const { topic, connect, leave } = setUp();
    const first = await connect();
    const gate = Promise.withResolvers<void>();
    topic.gate = gate.promise;
    const joining = await connect();
    topic.change(KEY, 'a');
    await settle();
    // Its place is after the begin of the read, but of that snapshot it was given nothing.
    const resumed = await connect({ lastEventId: await leave(first) });
    topic.change(KEY, 'a');
    gate.resolve();
    await settle();
    expect(resumed.events.map(({ data }) => data)).toMatchObject([{ entity: 'a', version: 2 }]);
    expect(joining.events.map(({ data }) => data)).toMatchObject([{ items: [{ data: { version: 2 } }] }]);
  });

  it('reads once for all that come together', async () => {
    const { broadcaster, topic, connect } = setUp();
    topic.change(KEY, 'a');
    const gate = Promise.withResolvers<void>();
    topic.gate = gate.promise;
    const clients = await Promise.all(Array.from({ length: 50 }, () => connect()));
    gate.resolve();
    await settle(20);
    for (const { events } of clients) expect(events[0]?.data.items).toHaveLength(1);
    expect(topic.reads).toBe(2);
    expect(broadcaster.stats().totals).toMatchObject({ snapshots: 50, snapshotsShared: 48 });
    // What is shared is freed with its last reader.
    expect(broadcaster.stats()).toMatchObject({ queuedBytes: 0, slowSessions: 0 });
  });
});
