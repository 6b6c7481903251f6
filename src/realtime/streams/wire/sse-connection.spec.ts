import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { type Http2Server, connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, type Socket, connect } from 'node:net';
import fc from 'fast-check';
import { EventStreamParser } from '../../../../test/support/event-stream-parser.js';
import { SseConnection } from './sse-connection.js';
import { encodeComment, encodeFrame } from './sse-frame.js';
import { openEventStream } from './sse-response.js';

/** One stream as the server sees it. */
interface Served {
  readonly response: ServerResponse;
  readonly connection: SseConnection;
  readonly closed: Promise<void>;
  /** Resolves at the first drain. */
  readonly drained: Promise<void>;
  closes: number;
  drains: number;
  finished: boolean;
}

const servers: (Server | Http2Server)[] = [];
const sockets: Socket[] = [];
let nowMs = 0;

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
});

/** A server whose every path is a stream, and the streams that it has opened. */
async function listen(options: { requestTimeout?: number; headers?: Record<string, string> } = {}) {
  const streams: Served[] = [];
  let arrived: (() => void) | undefined;
  const handler = (_request: IncomingMessage, response: ServerResponse): void => {
    for (const [name, value] of Object.entries(options.headers ?? {})) response.setHeader(name, value);
    openEventStream(response, 3_000);
    if (response.req.method === 'HEAD') return;
    streams.push(serve(response));
    arrived?.();
  };
  const { requestTimeout } = options;
  const limits =
    requestTimeout === undefined
      ? {}
      : { requestTimeout, headersTimeout: requestTimeout, connectionsCheckingInterval: 10 };
  const server = createServer(limits, handler);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stream = async (index = 0): Promise<Served> => {
    for (;;) {
      const found = streams[index];
      if (found) return found;
      await new Promise<void>((resolve) => (arrived = resolve));
    }
  };
  return { port: (server.address() as AddressInfo).port, streams, stream };
}

function serve(response: ServerResponse): Served {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const { promise: drained, resolve: drain } = Promise.withResolvers<void>();
  const served: Served = {
    response,
    closed,
    drained,
    closes: 0,
    drains: 0,
    finished: false,
    connection: new SseConnection(
      response,
      () => nowMs,
      () => {
        served.drains += 1;
        drain();
      },
      () => {
        served.closes += 1;
        served.finished = response.writableFinished;
        resolve();
      },
    ),
  };
  return served;
}

/** A client on a bare socket that keeps all bytes it gets. */
function dial(port: number, request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n') {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  sockets.push(socket);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  socket.write(request);
  const bytes = (): Buffer => Buffer.concat(chunks);
  const until = async (text: string): Promise<void> => {
    while (!bytes().includes(text)) await once(socket, 'data');
  };
  const ended = once(socket, 'end');
  return { socket, bytes, until, ended };
}

function split(answer: Buffer): { head: string; body: Buffer } {
  const end = answer.indexOf('\r\n\r\n');
  return { head: answer.toString('latin1', 0, end + 2), body: answer.subarray(end + 4) };
}

/** Reads a body of RFC 9112, 7.1, byte by byte and without mercy; `rest` is what follows it. */
function dechunk(body: Buffer): { data: Buffer; complete: boolean; rest: Buffer } {
  const data: Buffer[] = [];
  for (let at = 0; at < body.length;) {
    const line = body.indexOf('\r\n', at);
    const size = body.toString('latin1', at, line);
    if (!/^[1-9a-f][0-9a-f]*$|^0$/.test(size)) throw new Error(`no chunk size at byte ${at}: ${JSON.stringify(size)}`);
    const from = line + 2;
    const to = from + Number.parseInt(size, 16);
    if (body.toString('latin1', to, to + 2) !== '\r\n') throw new Error(`no line end at byte ${to}`);
    if (size === '0') return { data: Buffer.concat(data), complete: true, rest: body.subarray(to + 2) };
    data.push(body.subarray(from, to));
    at = to + 2;
  }
  return { data: Buffer.concat(data), complete: false, rest: Buffer.alloc(0) };
}

/** Writes until the client takes no more, and returns how many bytes went to it. */
function fill(connection: SseConnection, bytes: Buffer): number {
  let written = 0;
  while (connection.writable) {
    connection.write(bytes);
    written += bytes.length;
    if (written > 64e6) throw new Error('it takes everything');
  }
  return written;
}

const RETRY = 'retry: 3000\n\n';
const frame = (id: number, padding = 0): Buffer =>
  encodeFrame({ id: `e.${id}`, event: 'node_update', data: JSON.stringify({ id, padding: 'ü'.repeat(padding) }) });

describe('an event stream over HTTP/1.1', () => {
  it('begins with exactly this head and ends with a complete body and the end of the connection', async () => {
    const { port, stream } = await listen();
    const client = dial(port);
    const served = await stream();
    served.connection.write(frame(1));
    served.connection.end();
    await client.ended;
    const { head, body } = split(client.bytes());
    expect(head.replace(/Date: [A-Z][a-z]{2}, [^\r]+ GMT/, 'Date: now')).toBe(
      [
        'HTTP/1.1 200 OK',
        'Content-Type: text/event-stream; charset=utf-8',
        'Cache-Control: no-store, no-transform',
        'X-Accel-Buffering: no',
        'Connection: close',
        'Date: now',
        'Transfer-Encoding: chunked',
        '',
      ].join('\r\n'),
    );
    const { data, complete, rest } = dechunk(body);
    expect(data.toString()).toBe(RETRY + frame(1).toString());
    expect({ complete, rest: rest.length }).toEqual({ complete: true, rest: 0 });
    await served.closed;
    expect(served).toMatchObject({ closes: 1, finished: true });
  });

  it('leaves out what only documents need, and nothing else that was set before', async () => {
    const { port, stream } = await listen({
      headers: { 'X-Frame-Options': 'SAMEORIGIN', 'Content-Security-Policy': 'x', 'X-Request-Id': '7', Vary: 'Origin' },
    });
    const client = dial(port);
    (await stream()).connection.end();
    await client.ended;
    const names = [...split(client.bytes()).head.matchAll(/^([^:\r\n]+):/gm)].map(([, name]) => name);
    expect(names).toEqual([
      'X-Request-Id',
      'Vary',
      'Content-Type',
      'Cache-Control',
      'X-Accel-Buffering',
      'Connection',
      'Date',
      'Transfer-Encoding',
    ]);
  });

  it('has a body that is valid chunk by chunk, and the same events for a strict and for a real client', async () => {
    const { port, streams, stream } = await listen();
    const writes = fc.array(
      fc.oneof(
        fc.record({ padding: fc.nat({ max: 9_000 }) }).map(({ padding }) => frame(padding, padding)),
        fc.constant(encodeComment('keep-alive')),
      ),
      { minLength: 1, maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(writes, async (buffers) => {
        streams.length = 0;
        const client = dial(port);
        const fetched = fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.bytes());
        const both = [await stream(0), await stream(1)];
        // The same buffers to both, as in a turn, and each twice.
        for (const bytes of buffers) for (const { connection } of [...both, ...both]) connection.write(bytes);
        for (const { connection } of both) connection.end();
        const expected = Buffer.concat([Buffer.from(RETRY), ...buffers.flatMap((bytes) => [bytes, bytes])]);
        await client.ended;
        const { data, complete, rest } = dechunk(split(client.bytes()).body);
        expect(data.equals(expected)).toBe(true);
        expect({ complete, rest: rest.length }).toEqual({ complete: true, rest: 0 });
        expect(Buffer.from(await fetched).equals(expected)).toBe(true);
        client.socket.destroy();
      }),
      { numRuns: 25 },
    );
  });

  it('writes nothing more once it has ended', async () => {
    const { port, stream } = await listen();
    const client = dial(port);
    const { connection, closed } = await stream();
    connection.end();
    connection.write(frame(1));
    connection.end();
    await client.ended;
    await closed;
    connection.write(frame(2));
    expect(dechunk(split(client.bytes()).body).data.toString()).toBe(RETRY);
    expect(connection.isOver).toBe(true);
  });

  it('is over when the client closes in the middle, resets, or closes its half', async () => {
    const { port, stream } = await listen();
    const leave: ((socket: Socket) => unknown)[] = [
      (socket) => socket.destroy(),
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.end(),
    ];
    for (const [index, how] of leave.entries()) {
      const client = dial(port);
      const served = await stream(index);
      await client.until(RETRY);
      how(client.socket);
      // It may still be written to until the server has noticed.
      served.connection.write(frame(1));
      await served.closed;
      served.connection.write(frame(2));
      served.connection.end();
      expect(served.connection.isOver).toBe(true);
      expect(served.closes).toBe(1);
      expect(served.finished).toBe(false);
    }
  });

  it('serves one stream on a connection, whatever else its client sends along', async () => {
    const { port, stream } = await listen();
    const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const client = dial(port, request + request);
    const [served, behind] = [await stream(0), await stream(1)];
    served.connection.write(frame(1));
    // It has no connection yet, and what it is given is bounded all the same.
    const held = fill(behind.connection, frame(2, 8_000));
    expect(held).toBeLessThan(200_000);
    served.connection.end();
    await client.ended;
    const { data, rest } = dechunk(split(client.bytes()).body);
    expect(data.toString()).toBe(RETRY + frame(1).toString());
    expect(rest).toHaveLength(0);
    await behind.closed;
    expect(behind).toMatchObject({ closes: 1, finished: false });
  });

  it('is not cut by the time limit of requests', async () => {
    const { port, stream } = await listen({ requestTimeout: 50 });
    const client = dial(port);
    const { connection } = await stream();
    // The limit has passed for sure when it has ended a request that never gets complete, sent later.
    const late = dial(port, 'GET / HTTP/1.1\r\n');
    await late.until('408');
    connection.write(frame(1));
    await client.until('e.1');
    expect(connection.isOver).toBe(false);
  });
});

describe('a client that does not read', () => {
  it('makes the service hold one write beyond the buffer of its socket, and is told apart from one that reads', async () => {
    const { port, stream } = await listen();
    const client = dial(port);
    const { connection, response } = await stream();
    await client.until(RETRY);
    client.socket.pause();
    const batch = frame(1, 8_000);
    fill(connection, batch);
    const { socket } = response;
    expect(socket?.writableLength).toBeLessThanOrEqual((socket?.writableHighWaterMark ?? 0) + batch.length + 16);

    const begun = nowMs;
    expect(connection.isStalled(20_000)).toBe(false);
    nowMs = begun + 19_999;
    expect(connection.isStalled(20_000)).toBe(false);
    nowMs = begun + 20_000;
    expect(connection.isStalled(20_000)).toBe(true);
  });

  it('is not cut while it takes some of what waits, however little', async () => {
    const { port, stream } = await listen();
    const client = dial(port);
    const served = await stream();
    const { socket } = served.response;
    await client.until(RETRY);
    client.socket.pause();
    fill(served.connection, frame(1, 8_000));
    for (let more = 0; more < 8; more += 1) served.connection.write(frame(1, 2_000_000));
    expect(served.connection.isStalled(20_000)).toBe(false);
    const waiting = socket?.writableLength ?? 0;
    client.socket.resume();
    while (socket?.writableLength === waiting) await once(client.socket, 'data');
    client.socket.pause();
    nowMs += 20_000;
    expect(served.connection.isStalled(20_000)).toBe(false);
    expect(socket?.writableLength).toBeGreaterThan(0);
    expect(served.drains).toBe(0);
  });

  it('goes on where it stopped once it reads, with everything that was written', async () => {
    const { port, stream } = await listen();
    const client = dial(port);
    const served = await stream();
    await client.until(RETRY);
    client.socket.pause();
    const written = fill(served.connection, frame(1, 8_000));
    nowMs += 60_000;
    client.socket.resume();
    await served.drained;
    expect(served.connection.writable).toBe(true);
    expect(served.drains).toBe(1);
    expect(served.connection.isStalled(20_000)).toBe(false);
    served.connection.end();
    await client.ended;
    expect(dechunk(split(client.bytes()).body).data).toHaveLength(RETRY.length + written);
  });

  it('gets a complete body when the stream ends while it is slow', async () => {
    const { port, stream } = await listen();
    const client = dial(port);
    const served = await stream();
    await client.until(RETRY);
    client.socket.pause();
    const written = fill(served.connection, frame(1, 8_000));
    served.connection.end();
    expect(served.closes).toBe(0);
    client.socket.resume();
    await client.ended;
    const { data, complete } = dechunk(split(client.bytes()).body);
    expect({ bytes: data.length, complete }).toEqual({ bytes: RETRY.length + written, complete: true });
    await served.closed;
    expect(served.finished).toBe(true);
  });

  it('is cut at once', async () => {
    const { port, stream } = await listen();
    const client = dial(port);
    const served = await stream();
    await client.until(RETRY);
    client.socket.pause();
    fill(served.connection, frame(1, 8_000));
    served.connection.destroy();
    await served.closed;
    expect(served).toMatchObject({ closes: 1, finished: false });
  });
});

describe('an event stream over other versions of HTTP', () => {
  it('goes to HTTP/1.0 without chunks, until the end of the connection', async () => {
    const { port, stream } = await listen();
    const client = dial(port, 'GET / HTTP/1.0\r\n\r\n');
    const { connection } = await stream();
    connection.write(frame(1));
    connection.end();
    await client.ended;
    const { head, body } = split(client.bytes());
    expect(head).not.toMatch(/transfer-encoding/i);
    expect(head).toContain('Connection: close\r\n');
    expect(body.toString()).toBe(RETRY + frame(1).toString());
  });

  it('answers HEAD with the head alone and opens nothing', async () => {
    const { port, streams } = await listen();
    const client = dial(port, 'HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await client.ended;
    const { head, body } = split(client.bytes());
    expect(head).toContain('Content-Type: text/event-stream; charset=utf-8\r\n');
    expect(body).toHaveLength(0);
    expect(streams).toHaveLength(0);
  });

  it('goes to HTTP/2 through its response, without the headers that it forbids', async () => {
    const server = createHttp2Server();
    servers.push(server);
    server.on('request', (_request, response) => {
      const http1 = response as unknown as ServerResponse;
      openEventStream(http1, 3_000);
      const { connection } = serve(http1);
      connection.write(frame(1));
      connection.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = session.request({ ':path': '/' });
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    const parser = new EventStreamParser();
    for await (const bytes of stream) parser.push(bytes as Buffer);
    session.close();
    expect(headers).toMatchObject({ ':status': 200, 'content-type': 'text/event-stream; charset=utf-8' });
    expect(headers['connection']).toBeUndefined();
    expect(parser.retry).toBe(3_000);
    expect(parser.events.map(({ lastEventId }) => lastEventId)).toEqual(['e.1']);
  });
});
