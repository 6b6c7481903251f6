import '../../../test/support/quiet-logger.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type Socket, connect as connectTcp } from 'node:net';
import type { INestApplication } from '@nestjs/common';
import { EventSource } from 'eventsource';
import type { Registry } from 'prom-client';
import type { App } from 'supertest/types.js';
import { settle } from '../../../test/support/fake-clock.js';
import { type Envelope } from '../../../test/support/fake-stream-client.js';
import { EventStreamParser } from '../../../test/support/event-stream-parser.js';
import { FakeStreamTopic } from '../../../test/support/fake-stream-topic.js';
import { type TestDatabase, openTestDatabase } from '../../../test/support/test-database.js';
import { openStreamRoom } from '../../../test/support/stream-room.js';
import { Lifecycle, Readiness } from '../../lifecycle/index.js';
import { METRICS_REGISTRY } from '../../metrics/index.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const ID = '65b9f0c2a9b1d3e4f5061728';
const KEY = `workflow:${ID}`;
const PATH = `/streams/workflows/${ID}`;

let app: INestApplication<App> | undefined;
const sockets: Socket[] = [];
const sources: EventSource[] = [];

afterEach(async () => {
  for (const source of sources.splice(0)) source.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  await app?.close();
});

async function setUp(environment: Record<string, string> = {}) {
  const room = await openStreamRoom(environment, database);
  app = room.app;
  return { ...room, url: `http://127.0.0.1:${room.port}${PATH}` };
}

/** A native-like EventSource, which keeps what it gets. */
function listen(url: string): {
  source: EventSource;
  events: Envelope[];
  next: (matches: (event: Envelope) => boolean) => Promise<Envelope>;
} {
  const source = new EventSource(url);
  sources.push(source);
  const events: Envelope[] = [];
  const waiters = new Set<() => void>();
  for (const type of ['snapshot', 'node_update', 'heartbeat', 'lagged', 'shutdown']) {
    source.addEventListener(type, ({ data }) => {
      events.push(JSON.parse(String(data)) as Envelope);
      for (const check of waiters) check();
    });
  }
  const next = (matches: (event: Envelope) => boolean): Promise<Envelope> =>
    new Promise((resolve) => {
      const check = (): void => {
        const event = events.find(matches);
        if (!event) return;
        waiters.delete(check);
        resolve(event);
      };
      waiters.add(check);
      check();
    });
  return { source, events, next };
}

/** A client on a bare socket that reads its head, then nothing until told. */
async function openRaw(port: number, path = PATH): Promise<{ socket: Socket; text: () => string }> {
  const socket = connectTcp(port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.on('error', () => undefined);
  while (!text.includes('event: snapshot')) await once(socket, 'data');
  return { socket, text: () => text };
}

describe('GET /streams/...', () => {
  it('streams to an EventSource: the snapshot, then each change', async () => {
    const { topic, url } = await setUp();
    topic.change(KEY, 'a');
    const client = listen(url);
    await client.next(({ eventType }) => eventType === 'snapshot');
    topic.change(KEY, 'a');
    const update = await client.next(({ eventType }) => eventType === 'node_update');
    expect(update).toMatchObject({ type: 'workflow', streamKey: KEY, data: { entity: 'a', version: 2 } });
    expect(client.events).toHaveLength(2);
  });

  it('answers with the head of an event stream and ends it cleanly at its duration', async () => {
    const { server, topic, broadcaster } = await setUp();
    topic.change(KEY, 'a');
    const answer = await server.get(`${PATH}?duration=50ms`).expect(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      connection: 'close',
    });
    const parser = new EventStreamParser().push(Buffer.from(answer.text));
    expect(parser.events.map(({ type }) => type)).toEqual(['snapshot']);
    expect(parser.retry).toBeGreaterThan(0);
    expect(broadcaster.stats().sessions).toBe(0);
  });

  it('refuses before the first byte, as a problem, and keeps nothing', async () => {
    const { server, broadcaster } = await setUp();
    new FakeStreamTopic(broadcaster, 'clusters');
    for (const [path, status, code] of [
      ['/streams/workflows/nothing', 404, 'resource.not_found'],
      [`/streams/resources/${ID}`, 404, 'resource.not_found'],
      [`${PATH}?duration=soon`, 422, 'request.invalid'],
      [`${PATH}?what=1`, 422, 'request.invalid'],
      [`${PATH}?duration=5s&duration=6s`, 422, 'request.invalid'],
    ] as const) {
      const answer = await server.get(path).expect(status);
      expect(answer.headers['content-type']).toMatch('application/problem+json');
      expect(JSON.parse(answer.text)).toMatchObject({ code });
    }
    await server.get(PATH).set('Accept', 'application/json').expect(406);
    await server.head(PATH).expect(200).expect('content-type', 'text/event-stream; charset=utf-8');
    await server.get('/streams/clusters?duration=1ms').set('Accept', '*/*').expect(200);
    expect(broadcaster.stats()).toMatchObject({ sessions: 0, sessionsByTopic: {} });
  });

  it('asks for a credential where keys are set, and limits the streams of one principal', async () => {
    const secret = 'a-secret-of-24-characters!';
    const { server, topic, port } = await setUp({
      CROWSNEST_API_KEYS: `dash:viewer:${secret}`,
      CROWSNEST_STREAMS_PER_PRINCIPAL: '1',
    });
    const reading = Promise.withResolvers<void>();
    topic.gate = reading.promise;
    await server.get(PATH).expect(401);
    const open = connectTcp(port, '127.0.0.1');
    sockets.push(open);
    open.write(`GET ${PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${secret}\r\n\r\n`);
    await once(open, 'data');
    const refused = await server.get(PATH).set('Authorization', `Bearer ${secret}`).expect(429);
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'stream.limit' });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('answers 200, a time to come back and the reason while it drains or cannot tell who may read', async () => {
    const { app: running, server, topic } = await setUp();
    topic.failure = new Error('the store is away');
    const overloaded = await server.get(PATH).expect(200);
    expect(overloaded.text).toMatch(/^retry: \d+\n\nid: \w+\.0\nevent: overloaded\nretry: \d+\ndata: /);
    running.get(Readiness).markDraining();
    const drained = await server.get(PATH).expect(200);
    expect(drained.text).toMatch(/\nevent: shutdown\nretry: \d+\ndata: \{.*"retryMs":\d+\}\}\n\n$/);
  });

  it('unregisters a client that goes away, also while its snapshot is read', async () => {
    const { broadcaster, topic, port } = await setUp();
    const { socket } = await openRaw(port);
    expect(broadcaster.stats().sessions).toBe(1);
    topic.gate = Promise.withResolvers<void>().promise;
    const joining = connectTcp(port, '127.0.0.1');
    sockets.push(joining);
    joining.write(`GET ${PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await once(joining, 'data');
    expect(broadcaster.stats().sessions).toBe(2);
    socket.destroy();
    joining.destroy();
    while (broadcaster.stats().sessions > 0) await settle(1);
    expect(broadcaster.stats()).toMatchObject({ sessionsByTopic: {}, queuedBytes: 0 });
  });

  it('gives healthy clients all of 10 000 changes while one does not read, and that one a bounded queue', async () => {
    const { broadcaster, topic, port, url } = await setUp();
    const stuck = await openRaw(port);
    stuck.socket.pause();
    const healthy = listen(url);
    await healthy.next(({ eventType }) => eventType === 'snapshot');
    let mostQueued = 0;
    const got = new Set<unknown>();
    for (let n = 0; n < 10_000; n += 1) {
      topic.change(KEY, `e${n}`, { padding: 1_000 });
      if (n % 50 === 49) {
        // Lets the healthy client read: it shares this thread.
        await healthy.next(({ data }) => data.entity === `e${n}`);
        for (const { data } of healthy.events.splice(0, healthy.events.length)) got.add(data.entity);
      }
      mostQueued = Math.max(mostQueued, broadcaster.stats().queuedBytes);
    }
    got.delete(undefined);
    expect(got.size).toBe(10_000);
    expect(mostQueued).toBeLessThan(2 * 262_144);

    const known = new Set<string>();
    const parser = new EventStreamParser();
    stuck.socket.on('data', (chunk: Buffer) => parser.push(chunk));
    stuck.socket.resume();
    while (!parser.events.some(({ type }) => type === 'lagged')) await once(stuck.socket, 'data');
    topic.change(KEY, 'end');
    while (!parser.events.some(({ data }) => data.includes('"entity":"end"'))) await once(stuck.socket, 'data');
    const afterLag = parser.events.slice(parser.events.findLastIndex(({ type }) => type === 'lagged') + 1);
    for (const { type, data } of afterLag) {
      const envelope = JSON.parse(data) as { data: { entity: string; items: { entity: string }[] } };
      const shown = type === 'snapshot' ? envelope.data.items : [envelope.data];
      for (const { entity } of shown) known.add(entity);
    }
    expect(known.size).toBe(10_001);
    expect(broadcaster.stats().totals.dropped).toBeGreaterThan(0);
  }, 60_000);

  it('ends every stream with its last event when the service stops, and resolves inside the deadline', async () => {
    const { app: running, broadcaster, topic, url, port } = await setUp({ CROWSNEST_SHUTDOWN_TIMEOUT: '2s' });
    const lifecycle = running.get(Lifecycle);
    await lifecycle.start();
    const clients = Array.from({ length: 20 }, () => listen(url));
    await Promise.all(clients.map((client) => client.next(({ eventType }) => eventType === 'snapshot')));
    const stuck = await openRaw(port);
    stuck.socket.pause();
    for (let n = 0; n < 6_000; n += 1) {
      topic.change(KEY, 'big', { padding: 2_000 });
      if (n % 50 === 49) await settle(1);
    }
    // Its socket is full, so it cannot take its goodbye: the rest must not wait for it.
    expect(broadcaster.stats().queuedBytes).toBeGreaterThan(0);
    const unstopped = await lifecycle.stop();
    await Promise.all(clients.map((client) => client.next(({ eventType }) => eventType === 'shutdown')));
    for (const { events } of clients) expect(events.at(-1)?.eventType).toBe('shutdown');
    expect(unstopped).toEqual([]);
    expect(broadcaster.stats().sessions).toBe(0);
  }, 60_000);

  it('tells its numbers, and the same as metrics', async () => {
    const { app: running, server, topic, port } = await setUp();
    await openRaw(port);
    topic.change(KEY, 'a');
    await settle();
    const stats = await server.get('/streams/stats').expect(200);
    expect(stats.body).toMatchObject({
      sessions: 1,
      sessionsByTopic: { workflow: 1 },
      published: 1,
      totals: { events: 1, snapshots: 1 },
    });
    const metrics = await running.get<Registry>(METRICS_REGISTRY).metrics();
    expect(metrics).toContain('crowsnest_stream_sessions{topic="workflow"} 1\n');
    expect(metrics).toContain('crowsnest_stream_sent_events_total 1\n');
    // Read anew at each scrape, not added up.
    expect(await running.get<Registry>(METRICS_REGISTRY).metrics()).toContain('crowsnest_stream_sent_events_total 1\n');
  });
});

describe('GET /streams?key=...', () => {
  const OTHER = '65b9f0c2a9b1d3e4f5061729';

  it('carries many keys on one connection, each once', async () => {
    const { server, topic } = await setUp();
    topic.change(KEY, 'a');
    const query = `key=${KEY}&key=workflow:${OTHER}&key=${KEY}&duration=300ms`;
    const { text } = await server.get(`/streams?${query}`).expect(200);
    const { events } = new EventStreamParser().push(Buffer.from(text));
    const keys = events.map(({ data }) => (JSON.parse(data) as Envelope).streamKey);
    expect(keys).toEqual([KEY, `workflow:${OTHER}`]);
  });

  const keys = (count: number): string =>
    Array.from({ length: count }, (_, n) => `key=workflow:${n.toString(16).padStart(24, '0')}`).join('&');
  it.each([
    ['no key', '', 'key', 'name 1 to 64 stream keys, or send a ticket'],
    ['too many keys', keys(65), 'key', 'expected 1 to 64 stream keys'],
    ['an unknown prefix', `key=${KEY}&key=clusters&key=pod:${ID}`, 'key[2]', 'expected workflow:<id>'],
    ['an id that is none', 'key=workflow:1', 'key[0]', 'expected workflow:<id>'],
    ['a missing id', 'key=workflow:', 'key[0]', 'expected workflow:<id>'],
    ['an id too many', `key=clusters:${ID}`, 'key[0]', 'expected workflow:<id>'],
    ['an id in upper case', `key=workflow:${ID.toUpperCase()}`, 'key[0]', 'expected workflow:<id>'],
    ['a key that runs on', `key=${encodeURIComponent(`${KEY}\nevent: x`)}`, 'key[0]', 'expected workflow:<id>'],
    ['an empty key', 'key=', 'key[0]', 'expected workflow:<id>'],
    ['a time that is too long', `key=${KEY}&duration=999999999h`, 'duration', 'expected a duration like'],
    ['an unknown parameter', `key=${KEY}&keys=${KEY}`, 'keys', 'is not a field'],
  ])('answers %s with 422 and its place, and keeps nothing', async (_what, query, path, message) => {
    const { server, broadcaster, topic } = await setUp();
    const answer = await server.get(`/streams?${query}`).expect(422);
    const problem = JSON.parse(answer.text) as { code: string; errors: unknown[] };
    expect(problem).toMatchObject({ code: 'request.invalid' });
    expect(problem.errors).toEqual([{ path, message: expect.stringContaining(message) }]);
    expect(broadcaster.stats().sessions).toBe(0);
    expect(topic.reads).toBe(0);
  });

  it('takes 64 keys', async () => {
    const { port } = await setUp();
    const { socket, text } = await openRaw(port, `/streams?${keys(64)}`);
    while ((text().match(/event: snapshot/g)?.length ?? 0) < 64) await once(socket, 'data');
    expect(new Set(text().match(/"streamKey":"workflow:\w+"/g)).size).toBe(64);
  });

  it('never refuses a Last-Event-ID, whatever it is', async () => {
    const { server } = await setUp();
    for (const id of ['', 'x', 'a.b.c', '0.0', `${'f'.repeat(12)}.1`, '9'.repeat(8_000), '\u00e9', '__proto__']) {
      const query = `lastEventId=${encodeURIComponent(id)}&lastEventId=${encodeURIComponent(id)}`;
      const byQuery = await server.get(`${PATH}?duration=1ms&${query}`).expect(200);
      expect(byQuery.text).toContain('event: snapshot');
      await server.get(`${PATH}?duration=1ms`).set('Last-Event-ID', encodeURIComponent(id)).expect(200);
    }
  });
});
