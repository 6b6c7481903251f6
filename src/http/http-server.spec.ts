import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { request as request1 } from 'node:http';
import { type ClientHttp2Session, type IncomingHttpHeaders, connect as connect2, constants } from 'node:http2';
import { type Socket, connect } from 'node:net';
import type { HttpAdapterHost } from '@nestjs/core';
import express from 'express';
import { SystemClock } from '../runtime/clock.js';
import type { HttpConfig } from './http.config.js';
import { HttpServer } from './http-server.js';
import { RequestMounts } from './request-mounts.js';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const GET = 'GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
/** A frame: length, type 4, flags, stream. */
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const never = new AbortController().signal;

const config = (changes: Partial<HttpConfig> = {}): HttpConfig => ({
  port: 0,
  host: '127.0.0.1',
  allowedHosts: [],
  corsOrigins: [],
  maxConnections: 100,
  connectionsPerAddress: 50,
  tlsCert: undefined,
  tlsKey: undefined,
  tlsCertFile: undefined,
  tlsKeyFile: undefined,
  ...changes,
});

describe('HttpServer', () => {
  let app: express.Express;
  let mounts: RequestMounts;
  let server: HttpServer;
  let sockets: Socket[];
  let sessions: ClientHttp2Session[];
  let held: express.Response[];

  beforeEach(async () => {
    app = express();
    app.disable('x-powered-by');
    app.use(express.json());
    app.get('/version', (request, response) => void response.json({ http: request.httpVersion }));
    app.post('/echo', (request, response) => void response.status(201).location('/x').json(request.body));
    held = [];
    app.get('/held', (_request, response) => void held.push(response));
    app.get('/stream', (request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write(`: ${request.hostname}\n\n`);
      held.push(response);
    });
    mounts = new RequestMounts();
    const host = { httpAdapter: { getInstance: () => app } } as unknown as HttpAdapterHost;
    server = new HttpServer(host, mounts, new SystemClock(), config());
    await server.start();
    sockets = [];
    sessions = [];
  });
  afterEach(async () => {
    for (const session of sessions) session.destroy();
    for (const socket of sockets) socket.destroy();
    await server.stop(AbortSignal.abort());
  });

  const dial = async (): Promise<Socket> => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  const dial2 = async (): Promise<ClientHttp2Session> => {
    const session = connect2(server.url);
    sessions.push(session);
    session.on('error', () => undefined);
    await once(session, 'connect');
    return session;
  };
  /** Whatever ended it. */
  const closed = (end: Socket | ClientHttp2Session): Promise<void> =>
    new Promise((resolve) => void end.once('close', () => resolve()));
  const textOf = async (stream: AsyncIterable<unknown>): Promise<string> => {
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return text;
  };
  const call2 = async (
    session: ClientHttp2Session,
    headers: Record<string, string>,
    body?: string,
  ): Promise<[IncomingHttpHeaders & { ':status'?: number }, string]> => {
    const stream = session.request(headers, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    const [answered] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    return [answered, await textOf(stream)];
  };

  it('speaks HTTP/1.1 and HTTP/2 with prior knowledge on one port', async () => {
    const old = await fetch(`${server.url}/version`);
    expect(await old.json()).toEqual({ http: '1.1' });
    const [headers, text] = await call2(await dial2(), { ':path': '/version' });
    expect([headers[':status'], text]).toEqual([200, '{"http":"2.0"}']);
  });

  it.each([
    ['HTTP/1.1', GET, 'HTTP/1.1 200'],
    ['what begins like HTTP/2 and is not', GET.replace('GET', 'PRIVATE'), 'HTTP/1.1 400'],
  ])('takes %s byte by byte', async (_what, bytes, expected) => {
    const socket = await dial();
    socket.setNoDelay(true);
    let answer = '';
    socket.on('data', (chunk) => (answer += String(chunk)));
    for (const byte of bytes) {
      if (answer !== '') break;
      socket.write(byte);
      await new Promise(setImmediate);
    }
    if (!socket.closed) await closed(socket);
    expect(answer).toContain(expected);
  });

  it('takes the preface byte by byte', async () => {
    const socket = await dial();
    socket.setNoDelay(true);
    for (const byte of PREFACE) {
      socket.write(byte);
      await new Promise(setImmediate);
    }
    socket.write(EMPTY_SETTINGS);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer[3]).toBe(4);
  });

  it('keeps connections of HTTP/1.1 alive, and several requests in one piece', async () => {
    const socket = await dial();
    socket.write(GET.replace('close', 'keep-alive') + GET);
    const text = await textOf(socket);
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  });

  it('takes a body without a length over HTTP/2', async () => {
    const headers = { ':method': 'POST', ':path': '/echo', 'content-type': 'application/json' };
    const [answer, text] = await call2(await dial2(), headers, '{"a":1}');
    expect([answer[':status'], answer['location'], text]).toEqual([201, '/x', '{"a":1}']);
  });

  it('streams over HTTP/2', async () => {
    const stream = (await dial2()).request({ ':path': '/stream' });
    await once(stream, 'response');
    expect(String((await once(stream, 'data'))[0])).toBe(': 127.0.0.1\n\n');
    held[0]?.write('data: 1\n\n');
    expect(String((await once(stream, 'data'))[0])).toBe('data: 1\n\n');
    const closed = once(held[0] as never, 'close');
    stream.close();
    await closed;
  });

  it('asks mounts before Express, over both protocols', async () => {
    mounts.mount({
      pathPrefix: '/flowwatch.v1.',
      handle: (request, response) => {
        response.writeHead(200, { 'content-type': 'text/plain' });
        response.end(`${request.httpVersion} ${request.url}`);
      },
    });
    expect(await (await fetch(`${server.url}/flowwatch.v1.X/Y`)).text()).toBe('1.1 /flowwatch.v1.X/Y');
    expect((await call2(await dial2(), { ':path': '/flowwatch.v1.X/Y' }))[1]).toBe('2.0 /flowwatch.v1.X/Y');
    expect((await fetch(`${server.url}/flowwatch.v2.X/Y`)).status).toBe(404);
  });

  it('stops with silent connections, idle sessions and a request that ends in its time', async () => {
    const { url } = server;
    const silent = await dial();
    const idle = await dial2();
    const busy = await dial2();
    const goaway = Promise.all([once(idle, 'goaway'), once(busy, 'goaway')]);
    const gone = Promise.all([closed(silent), closed(idle)]);
    silent.resume();
    const answer = call2(busy, { ':path': '/held' });
    const old = new Promise<string>((resolve, reject) => {
      request1(`${server.url}/held`, (response) => void textOf(response).then(resolve))
        .on('error', reject)
        .end();
    });
    while (held.length < 2) await new Promise(setImmediate);
    const stopped = server.stop(never);
    await goaway;
    await gone;
    for (const response of held) response.json({ through: true });
    expect((await answer)[1]).toBe('{"through":true}');
    expect(await old).toBe('{"through":true}');
    await stopped;
    await expect(fetch(`${url}/version`)).rejects.toThrow();
  });

  it('cuts what is still going on at the deadline', async () => {
    const session = await dial2();
    const stream = session.request({ ':path': '/held' });
    stream.on('error', () => undefined);
    while (held.length < 1) await new Promise(setImmediate);
    const deadline = new AbortController();
    const stopped = server.stop(deadline.signal);
    deadline.abort();
    await stopped;
    if (!session.destroyed) await once(session, 'close');
  });

  it('ends a session that opens and resets streams without end', async () => {
    const session = await dial2();
    const ended = closed(session);
    const flood = (): void => {
      if (session.destroyed || session.closed) return;
      for (let count = 0; count < 90; count += 1) {
        const stream = session.request({ ':path': '/held' });
        stream.on('error', () => undefined);
        stream.close(constants.NGHTTP2_CANCEL);
      }
      setImmediate(flood);
    };
    flood();
    await ended;
    expect(await (await fetch(`${server.url}/version`)).json()).toEqual({ http: '1.1' });
  });

  it('refuses headers beyond 16 KiB over HTTP/2', async () => {
    const session = await dial2();
    // The limit holds once the client has said that it knows it.
    await call2(session, { ':path': '/version' });
    const stream = session.request({ ':path': '/version', 'x-large': 'x'.repeat(20_000) });
    await expect(once(stream, 'response')).rejects.toThrow('ENHANCE_YOUR_CALM');
    expect((await call2(session, { ':path': '/version' }))[0][':status']).toBe(200);
  });
});
