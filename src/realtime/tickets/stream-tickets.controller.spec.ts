import '../../../test/support/quiet-logger.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { type IncomingMessage, get } from 'node:http';
import type { INestApplication } from '@nestjs/common';
import type { App } from 'supertest/types.js';
import { EventStreamParser } from '../../../test/support/event-stream-parser.js';
import { FakeClock, settle } from '../../../test/support/fake-clock.js';
import { openStreamRoom } from '../../../test/support/stream-room.js';
import { type TestDatabase, openTestDatabase } from '../../../test/support/test-database.js';
import { Readiness } from '../../lifecycle/index.js';
import { StreamTicketsRepository } from './stream-tickets.repository.js';
import { TicketStreams } from './ticket-streams.js';

const ID = '65b9f0c2a9b1d3e4f5061728';
const KEY = `workflow:${ID}`;
const secretOf = (name: string): string => `${name}-0123456789abcdef`;
const KEYS = ['dash:viewer@team-a', 'ops:admin@team-a', 'stranger:admin@team-b']
  .map((key) => `${key}:${secretOf(key.split(':')[0] ?? '')}`)
  .join();

/** Ahead of the store's own clock, by which it removes what has expired. */
const EPOCH = Date.UTC(2100, 0, 1);

describe('stream tickets', () => {
  let database: TestDatabase;
  let clock: FakeClock;
  const apps: INestApplication<App>[] = [];
  const answers: IncomingMessage[] = [];

  beforeAll(async () => {
    database = await openTestDatabase();
  });
  afterAll(() => database.close());
  beforeEach(() => void (clock = new FakeClock(EPOCH)));
  afterEach(async () => {
    for (const answer of answers.splice(0)) answer.destroy();
    for (const app of apps.splice(0)) await app.close();
    await database.connection.collection('stream_tickets').deleteMany({});
  });

  async function setUp(environment: Record<string, string> = {}) {
    const room = await openStreamRoom(
      { CROWSNEST_API_KEYS: KEYS, ...environment },
      { connection: database.connection, clock },
    );
    apps.push(room.app);
    const as = (name: string): string => `Bearer ${secretOf(name)}`;
    const issue = async (keys: unknown = [KEY], name = 'dash') => {
      const answer = await room.server.post('/streams/tickets').set('Authorization', as(name)).send({ keys });
      return { status: answer.status, headers: answer.headers, body: answer.body as Record<string, string> };
    };
    /** Opens a stream and resolves when it has sent its first event, or its refusal. */
    const open = async (path: string, headers: Record<string, string> = {}) => {
      const request = get({ port: room.port, host: '127.0.0.1', path, headers, agent: false });
      const [answer] = (await once(request, 'response')) as [IncomingMessage];
      answers.push(answer);
      const parser = new EventStreamParser();
      let text = '';
      const ended = new Promise<void>((resolve) => answer.once('close', resolve));
      answer.on('error', () => undefined);
      const begun = new Promise<void>((resolve) => {
        answer.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          if (answer.statusCode === 200 && parser.push(chunk).events.length > 0) resolve();
        });
      });
      await Promise.race([begun, ended]);
      return { status: answer.statusCode, text: () => text, parser, answer, ended };
    };
    const pathOf = (ticket: string): string => `/streams?ticket=${ticket}`;
    /** The ticket's stream has begun, and that is stored. */
    const used = async (): Promise<void> => {
      const started = { startedAt: { $ne: null } };
      while ((await database.connection.collection('stream_tickets').countDocuments(started)) === 0) await settle(1);
    };
    return { ...room, as, issue, open, pathOf, used };
  }

  it('opens a stream without a header, with the rights of whoever asked for it', async () => {
    const { issue, open, pathOf, topic } = await setUp();
    topic.change(KEY, 'a', { tenantId: 'team-a' });
    const { status, headers, body } = await issue([KEY, KEY]);
    expect(status).toBe(201);
    expect(headers['cache-control']).toBe('no-store');
    expect(body).toMatchObject({ keys: [KEY], path: `/api/v1/streams?ticket=${body['ticket']}` });
    const stream = await open(pathOf(String(body['ticket'])));
    expect(stream.status).toBe(200);
    topic.change(KEY, 'a', { tenantId: 'team-b' });
    topic.change(KEY, 'b', { tenantId: 'team-a' });
    await once(stream.answer, 'data');
    expect(stream.text()).toContain('"entity":"b"');
    expect(stream.parser.events.map(({ type }) => type)).toEqual(['snapshot', 'node_update']);
  });

  it.each([
    ['no body', undefined, ''],
    ['no key', { keys: [] }, 'keys'],
    ['a key of no known shape', { keys: [KEY, 'clusters', 'pods'] }, 'keys[2]'],
    ['what is no text', { keys: [KEY, 7] }, 'keys[1]'],
    ['an unknown field', { keys: [KEY], ttl: 5 }, 'ttl'],
    ['too many keys', { keys: Array.from({ length: 65 }, () => KEY) }, 'keys'],
  ])('is not given for %s', async (_what, body, path) => {
    const { server, as } = await setUp();
    const answer = await server.post('/streams/tickets').set('Authorization', as('dash')).send(body);
    expect(answer.status).toBe(422);
    expect(JSON.parse(answer.text)).toMatchObject({ errors: [{ path }] });
    expect(await database.connection.collection('stream_tickets').countDocuments()).toBe(0);
  });

  it('is asked for with a key, not with another ticket', async () => {
    const { server, issue } = await setUp();
    const { body } = await issue();
    await server
      .post('/streams/tickets')
      .send({ keys: [KEY] })
      .expect(401);
    await server
      .post(`/streams/tickets?ticket=${body['ticket']}`)
      .send({ keys: [KEY] })
      .expect(401);
    await server.get(`/streams/stats?ticket=${body['ticket']}`).expect(401);
  });

  it('is used once, and then only brings its client back', async () => {
    const { issue, open, pathOf, used } = await setUp();
    const { body } = await issue();
    const path = pathOf(String(body['ticket']));
    const first = await open(path);
    await used();
    const again = await open(path);
    expect(again.status).toBe(401);
    expect(JSON.parse(again.text())).toMatchObject({
      code: 'stream.ticket_refused',
      detail: expect.stringContaining('get a new one with POST /api/v1/streams/tickets'),
    });
    for (const back of [await open(path, { 'Last-Event-ID': 'x.1' }), await open(`${path}&lastEventId=x.1`)]) {
      expect(back.status).toBe(200);
    }
    expect(first.parser.events.map(({ type }) => type)).toEqual(['snapshot']);
  });

  it('is used at once by a client that has a Last-Event-ID, whose first event may be long in coming', async () => {
    const { issue, open, pathOf, used, topic } = await setUp();
    const { body: other } = await issue();
    const id = (await open(pathOf(String(other['ticket'])))).parser.events[0]?.lastEventId ?? '';
    await used();
    await database.connection.collection('stream_tickets').deleteMany({});
    const { body } = await issue();
    const resuming = open(pathOf(String(body['ticket'])), { 'Last-Event-ID': id });
    await used();
    topic.change(KEY, 'a', { tenantId: 'team-a' });
    expect((await resuming).parser.events.map(({ type }) => type)).toEqual(['node_update']);
  });

  it('lives on one connection at a time: the newer ends the older', async () => {
    const { issue, open, pathOf, used, broadcaster, server } = await setUp();
    const { body } = await issue();
    const path = pathOf(String(body['ticket']));
    const first = await open(path);
    await used();
    await server.head(path).set('Last-Event-ID', 'unknown').expect(200);
    expect(broadcaster.stats().sessions).toBe(1);
    const second = await open(path, { 'Last-Event-ID': 'unknown' });
    await first.ended;
    expect(second.answer.destroyed).toBe(false);
    expect(broadcaster.stats().sessions).toBe(1);
  });

  it('serves the route of its key too, and no other keys', async () => {
    const { issue, open } = await setUp();
    const { body } = await issue();
    const ticket = String(body['ticket']);
    for (const path of [`/streams/workflows/${ID.replace('8', '9')}?`, `/streams?key=${KEY}&key=clusters&`]) {
      const refused = await open(`${path}ticket=${ticket}`);
      expect([path, refused.status]).toEqual([path, 404]);
      expect(JSON.parse(refused.text())).toMatchObject({ detail: expect.stringContaining('not for these streams') });
    }
    expect(await open(`/streams/workflows/${ID}?ticket=${ticket}`)).toMatchObject({ status: 200 });
  });

  it('is refused when forged, expired or revoked, without its secret in the answer', async () => {
    const { issue, open, pathOf, server, as } = await setUp();
    const forged = `cst_${'A'.repeat(43)}`;
    const { body: revoked } = await issue();
    const { body: expired } = await issue();
    await server.delete(`/streams/tickets/${revoked['id']}`).set('Authorization', as('dash')).expect(204);
    await clock.advance(30_000);
    for (const ticket of [forged, revoked['ticket'], expired['ticket'], 'x', '']) {
      const refused = await open(pathOf(String(ticket)));
      expect([ticket, refused.status]).toEqual([ticket, 401]);
      expect(refused.answer.headers['content-type']).toContain('application/problem+json');
      if (ticket) expect(refused.text()).not.toContain(`"${ticket}`);
    }
  });

  it('is revoked with its stream', async () => {
    const { issue, open, pathOf, server, as, broadcaster } = await setUp();
    const { body } = await issue();
    const stream = await open(pathOf(String(body['ticket'])));
    const path = `/streams/tickets/${body['id']}`;
    await server.delete(path).expect(401);
    await server.delete(path).set('Authorization', as('stranger')).expect(404);
    await server.delete(`/streams/tickets/${body['ticket']}`).set('Authorization', as('dash')).expect(404);
    expect(broadcaster.stats().sessions).toBe(1);
    await server.delete(path).set('Authorization', as('dash')).expect(204);
    await stream.ended;
    while (broadcaster.stats().sessions > 0) await settle(1);
  });

  it('ends its stream when its time is over', async () => {
    const { issue, open, pathOf } = await setUp({ CROWSNEST_STREAM_TICKET_LIFETIME: '10m' });
    const { body } = await issue();
    const stream = await open(pathOf(String(body['ticket'])));
    await clock.advance(9 * 60_000);
    expect(stream.answer.closed).toBe(false);
    await clock.advance(60_000);
    await stream.ended;
    expect(stream.answer.complete).toBe(true);
  });

  it('dies with the key of whoever asked for it', async () => {
    const { issue } = await setUp();
    const { body } = await issue();
    const after = await setUp({ CROWSNEST_API_KEYS: `dash:viewer@team-b:${secretOf('dash')}` });
    const refused = await after.open(after.pathOf(String(body['ticket'])));
    expect(refused.status).toBe(401);
    expect(JSON.parse(refused.text())).toMatchObject({ code: 'stream.ticket_refused' });
  });

  it('counts among the streams of whoever asked for it', async () => {
    const { issue, open, pathOf, broadcaster } = await setUp({ CROWSNEST_STREAMS_PER_PRINCIPAL: '1' });
    await open(pathOf(String((await issue()).body['ticket'])));
    const refused = await open(pathOf(String((await issue()).body['ticket'])));
    expect(refused.status).toBe(429);
    expect(Number(refused.answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(await open(pathOf(String((await issue([KEY], 'ops')).body['ticket'])))).toMatchObject({ status: 200 });
    expect(broadcaster.stats().sessions).toBe(2);
  });

  it('lets a client come back that was refused because the service stops', async () => {
    const { app, issue, open, pathOf } = await setUp();
    const { body } = await issue();
    const path = pathOf(String(body['ticket']));
    app.get(Readiness).markDraining();
    const refused = await open(path);
    expect(refused.parser.events.map(({ type }) => type)).toEqual(['shutdown']);
    await refused.ended;
    await clock.advance(60_000);
    const after = await setUp();
    const back = await after.open(path, { 'Last-Event-ID': refused.parser.events[0]?.lastEventId ?? '' });
    expect(back).toMatchObject({ status: 200 });
    expect(back.parser.events[0]?.type).toBe('snapshot');
  });

  it('is answered 200 while it cannot be told whether it is right, and a HEAD uses nothing up', async () => {
    const { app, issue, open, pathOf, topic, server } = await setUp();
    const { body } = await issue();
    const path = pathOf(String(body['ticket']));
    const lookUp = jest.spyOn(app.get(StreamTicketsRepository), 'find').mockRejectedValue(new Error('away'));
    const refused = await open(path);
    expect(refused.status).toBe(200);
    expect(refused.parser.events.map(({ type }) => type)).toEqual(['overloaded']);
    lookUp.mockRestore();
    await server
      .head(path)
      .set('Last-Event-ID', 'x.1')
      .expect(200)
      .expect('content-type', /^text\/event-stream/);
    await app.get(TicketStreams).stop();
    expect(await database.connection.collection('stream_tickets').findOne()).toMatchObject({ startedAt: null });
    topic.failure = new Error('the store is away');
    const overloaded = await open(path);
    expect(overloaded.parser.events.map(({ type }) => type)).toEqual(['overloaded']);
    // What it was told was its first event.
    topic.failure = undefined;
    expect(await open(path)).toMatchObject({ status: 401 });
    const id = overloaded.parser.events[0]?.lastEventId ?? '';
    expect(await open(path, { 'Last-Event-ID': id })).toMatchObject({ status: 200 });
  });
});
