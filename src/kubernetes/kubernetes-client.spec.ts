import { afterEach, describe, expect, it } from '@jest/globals';
import type { Http2ServerResponse } from 'node:http2';
import { createGzip, gzipSync } from 'node:zlib';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import { accessTo, testApis } from '../../test/support/kubernetes-apis.js';
import { type Script, ScriptedApiServer } from '../../test/support/scripted-api-server.js';
import type { Clock } from '../runtime/clock.js';
import { type ApiCall, type KubernetesApi, KubernetesApiError } from './kubernetes-api.js';
import type { KubernetesApis } from './kubernetes-apis.js';

const token = 'canary-token-81b2';
const get: ApiCall = { method: 'GET', path: '/version' };
const pending: Array<() => Promise<void>> = [];

afterEach(async () => {
  for (const end of pending.splice(0).toReversed()) await end();
});

interface Setup {
  readonly server: ScriptedApiServer;
  readonly apis: KubernetesApis;
  readonly api: KubernetesApi & { close(): Promise<void> };
}

async function setUp(
  script: Script,
  options: { clock?: Clock; http1Only?: boolean; maxConcurrentStreams?: number } = {},
): Promise<Setup> {
  const { clock, ...serverOptions } = options;
  const server = await new ScriptedApiServer(script, serverOptions).start();
  const apis = testApis(clock ? { clock } : {});
  const api = apis.open(accessTo(server, { type: 'token', token }));
  pending.push(async () => {
    await apis.stop();
    expect(apis.connections).toBe(0);
    await server.stop();
  });
  return { server, apis, api };
}

async function failureOf(work: Promise<unknown>): Promise<KubernetesApiError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KubernetesApiError) {
      expect(`${error.message}${JSON.stringify(error)}`).not.toContain(token);
      return error;
    }
    throw error;
  }
  throw new Error('it did not fail');
}

async function read(watch: AsyncIterable<unknown>, seen: unknown[] = []): Promise<unknown[]> {
  for await (const line of watch) seen.push(line);
  return seen;
}

/** Writes the same chunk until the client goes. */
function flood(response: Http2ServerResponse, chunk: Buffer): void {
  const { stream } = response;
  if (!response.headersSent) response.writeHead(200);
  const write = (): void => {
    while (!stream.destroyed && stream.write(chunk));
    if (!stream.destroyed) stream.once('drain', write);
  };
  write();
}

const json: Script = (_request, response) => response.end('{"gitVersion":"v1.36.3"}');

describe('a call', () => {
  it('says who asks, and never in which proxy’s or whose name', async () => {
    const { server, api } = await setUp(json);
    expect(await api.call({ ...get, query: { a: 'b c', limit: 5, left: undefined } })).toEqual({
      status: 200,
      body: { gitVersion: 'v1.36.3' },
      warnings: [],
    });
    expect(server.requests[0]).toMatchObject({
      path: '/version?a=b+c&limit=5',
      headers: { authorization: `Bearer ${token}`, 'user-agent': 'crowsnest/test (test)', 'accept-encoding': 'gzip' },
    });
    expect(server.connections).toBe(1);
    await api.call(get);
    expect(server.connections).toBe(1);
  });

  it('reads gzip and warnings', async () => {
    const { api } = await setUp((_request, response) => {
      response.setHeader('warning', ['299 - "first \\"one\\""', '299 - "second"']);
      response.setHeader('content-encoding', 'gzip');
      response.end(gzipSync('{"a":1}'));
    });
    expect(await api.call(get)).toEqual({ status: 200, body: { a: 1 }, warnings: ['first "one"', 'second'] });
  });

  it('keeps no more than its cap of an endless answer, plain or packed', async () => {
    const { api } = await setUp((request, response) => {
      if (request.url === '/plain') return flood(response, Buffer.alloc(64 * 1024, 'x'));
      response.setHeader('content-encoding', 'gzip');
      const bomb = createGzip();
      bomb.pipe(response.stream);
      const zeros = Buffer.alloc(1024 * 1024);
      const write = (): void => {
        while (!response.stream.destroyed && bomb.write(zeros));
        if (!response.stream.destroyed) bomb.once('drain', write);
      };
      return write();
    });
    const before = process.memoryUsage().rss;
    for (const path of ['/plain', '/packed']) {
      const failure = await failureOf(api.call({ method: 'GET', path, maxBytes: 1024 * 1024 }));
      expect(failure).toMatchObject({ failure: 'cut', message: expect.stringContaining('larger than') });
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });

  it.each([301, 302, 303, 307, 308])('does not follow a redirect (%i)', async (status) => {
    const { server, api } = await setUp((_request, response) => {
      response.writeHead(status, { location: '/elsewhere' }).end();
    });
    expect(await failureOf(api.call(get))).toMatchObject({ failure: 'server', options: { status } });
    expect(server.requests.length).toBe(1);
  });

  it('ends at its deadline when nothing answers, and on the caller’s abort', async () => {
    const clock = new FakeClock();
    const { server, api } = await setUp(() => undefined, { clock });
    const late = failureOf(api.call(get));
    while (server.requests.length === 0) await settle();
    await clock.advance(10_000);
    expect(await late).toMatchObject({ failure: 'timeout' });
    const rest = failureOf(api.call({ ...get, timeoutMs: 9_999.929655 }));
    while (server.requests.length === 1) await settle();
    await clock.advance(10_000);
    expect(await rest).toMatchObject({ message: expect.stringMatching(/no answer within 10000 ms$/) });
    const abort = new AbortController();
    const reason = new Error('enough');
    const aborted = api.call({ ...get, signal: abort.signal });
    abort.abort(reason);
    await expect(aborted).rejects.toBe(reason);
  });

  it('tells an answer that is cut, no JSON or in a foreign encoding', async () => {
    const { api } = await setUp((request, response) => {
      if (request.url === '/cut') {
        response.writeHead(200).write('{"a":');
        setImmediate(() => response.stream.session?.destroy());
      } else if (request.url === '/html') response.end('<html>canary-body</html>');
      else response.writeHead(200, { 'content-encoding': 'br' }).end('x');
    });
    for (const path of ['/cut', '/html', '/brotli']) {
      const failure = await failureOf(api.call({ method: 'POST', path }));
      expect(failure.failure).toBe('cut');
      expect(failure.message).not.toContain('canary-body');
    }
  });

  it('keeps reason, causes and Retry-After of a refusal, bounded and on one line', async () => {
    const { api } = await setUp((_request, response) => {
      const message = `first\nsecond ${'x'.repeat(10_000)} end`;
      const causes = [{ reason: 'FieldValueInvalid', field: 'spec.a', message: 'wrong' }];
      response.writeHead(429, { 'retry-after': '7' });
      response.end(JSON.stringify({ kind: 'Status', reason: 'TooManyRequests', message, details: { causes } }));
    });
    const failure = await failureOf(api.call(get));
    expect(failure).toMatchObject({
      failure: 'too-many-requests',
      options: { status: 429, reason: 'TooManyRequests', retryAfterMs: 7_000, causes: [{ field: 'spec.a' }] },
    });
    expect(failure.message).toMatch(/^[^\n]{1,1200} end$/);
  });

  it('keeps nothing but reason and fields of a refusal about a Secret', async () => {
    const { api } = await setUp((_request, response) => {
      const causes = [{ reason: 'FieldValueInvalid', field: 'data.key', message: 'Invalid value: "canary-value"' }];
      response.writeHead(422);
      response.end(JSON.stringify({ reason: 'Invalid', message: 'canary-value is wrong', details: { causes } }));
    });
    const failure = await failureOf(api.call({ method: 'PATCH', path: '/api/v1/namespaces/a/secrets/b', body: {} }));
    expect(failure.options.causes).toEqual([{ reason: 'FieldValueInvalid', field: 'data.key', message: '' }]);
    expect(`${failure.message}${failure.stack}${JSON.stringify(failure)}`).not.toContain('canary-value');
  });

  it('goes on with a new connection after GOAWAY, and finishes what was in progress on the old one', async () => {
    let answerSlow: (() => void) | undefined;
    const { server, api } = await setUp((request, response) => {
      if (request.url !== '/slow') return json(request, response);
      answerSlow = () => response.end('"slow"');
      return undefined;
    });
    await api.call(get);
    const slow = api.call({ method: 'GET', path: '/slow' });
    while (!answerSlow) await settle();
    server.sessions[0]?.goaway(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await api.call(get);
    expect(server.sessions.length).toBe(2);
    answerSlow();
    expect((await slow).body).toBe('slow');
  });

  it('reads again over a new connection when the idle one was reset, and never writes twice', async () => {
    const { server, api } = await setUp(json);
    await api.call(get);
    server.sessions[0]?.destroy();
    expect((await api.call(get)).status).toBe(200);
    const writes = { count: 0 };
    const second = await setUp((request, response) => {
      if (request.method === 'PATCH') writes.count += 1;
      if (request.method === 'PATCH') request.stream.session?.destroy();
      else json(request, response);
    });
    await second.api.call(get);
    expect(await failureOf(second.api.call({ method: 'PATCH', path: '/x', body: {} }))).toMatchObject({
      failure: 'cut',
    });
    expect(writes.count).toBe(1);
  });

  it('falls back to HTTP/1.1, for calls at the same time too', async () => {
    const { server, api } = await setUp(json, { http1Only: true });
    const answers = await Promise.all(Array.from({ length: 5 }, () => api.call(get)));
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 200, 200]);
    expect(server.sessions.length).toBe(0);
  });
});

describe('a watch', () => {
  const watch = (api: KubernetesApi, signal = new AbortController().signal): Promise<AsyncIterable<unknown>> =>
    api.watch({ path: '/watch', query: { watch: true }, signal });

  it('yields lines whatever the chunks, and ends when the server ends it', async () => {
    const bytes = Buffer.from('{"a":"ä"}\n\n{"b":2}\n{"c":3}\n');
    const drip = async (response: Http2ServerResponse): Promise<void> => {
      for (const byte of bytes) {
        response.write(Buffer.from([byte]));
        await settle(1);
      }
      response.end();
    };
    const { api } = await setUp((_request, response) => void drip(response));
    expect(await read(await watch(api))).toEqual([{ a: 'ä' }, { b: 2 }, { c: 3 }]);
  });

  it.each([
    ['is cut within a line', (response: Http2ServerResponse) => response.stream.session?.destroy()],
    ['is reset between lines', (response: Http2ServerResponse) => response.stream.close(2)],
    ['ends within a line', (response: Http2ServerResponse) => response.end('{"b"')],
    ['carries a line that is no JSON', (response: Http2ServerResponse) => response.write('garbage canary\n')],
    ['carries invalid UTF-8', (response: Http2ServerResponse) => response.write(Buffer.from([0x22, 0xff, 0x22, 0x0a]))],
    ['never ends a line', (response: Http2ServerResponse) => flood(response, Buffer.alloc(64 * 1024, '1'))],
  ])('is cut when it %s, after what came before', async (what, end) => {
    const { api } = await setUp((_request, response) => {
      response.write(what.includes('within') ? '{"a":1}\n{"b"' : '{"a":1}\n');
      setTimeout(() => end(response), 20);
    });
    const seen: unknown[] = [];
    const failure = await failureOf(read(await watch(api), seen));
    expect(failure.failure).toBe('cut');
    expect(failure.message).not.toContain('canary');
    expect(seen).toEqual([{ a: 1 }]);
  });

  it('is cut after 150 s without a line, however many bytes drip', async () => {
    const clock = new FakeClock();
    let response: Http2ServerResponse | undefined;
    const { api } = await setUp(
      (_request, opened) => {
        response = opened;
        opened.write('{"a":1}\n');
      },
      { clock },
    );
    const seen: unknown[] = [];
    const failure = failureOf(read(await watch(api), seen));
    while (seen.length === 0) await settle();
    await clock.advance(149_000);
    response?.write('x');
    await settle(20);
    await clock.advance(1_000);
    expect(await failure).toMatchObject({ failure: 'cut', message: expect.stringContaining('150 s') });
  });

  it('ends with the caller’s reason and closes the connection with the last watch', async () => {
    const { server, api } = await setUp((_request, response) => response.write('{"a":1}\n'));
    const first = new AbortController();
    const second = new AbortController();
    const watches = [await watch(api, first.signal), await watch(api, second.signal)] as const;
    expect(server.connections).toBe(1);
    const reasons = [new Error('one'), new Error('two')] as const;
    first.abort(reasons[0]);
    await expect(read(watches[0])).rejects.toBe(reasons[0]);
    expect(server.connections).toBe(1);
    // Never read at all: the signal frees its place all the same.
    second.abort(reasons[1]);
    await server.idle();
    expect(server.connections).toBe(0);
  });

  it('ends when its reader leaves', async () => {
    const { server, api } = await setUp((_request, response) => response.write('{"a":1}\n{"b":2}\n'));
    for await (const line of await watch(api)) {
      expect(line).toEqual({ a: 1 });
      break;
    }
    await server.idle();
  });

  it('respects a server that allows fewer streams, and counts again after some ended', async () => {
    const { server, api } = await setUp((_request, response) => response.write('{"a":1}\n'), {
      maxConcurrentStreams: 3,
    });
    const aborts = Array.from({ length: 7 }, () => new AbortController());
    await Promise.all(aborts.map((abort) => watch(api, abort.signal)));
    expect(server.connections).toBe(3);
    for (const abort of aborts) abort.abort();
    await server.idle();
    await Promise.all(Array.from({ length: 4 }, () => watch(api)));
    expect(server.connections).toBe(2);
  });

  it('works over HTTP/1.1, and tells a cut there', async () => {
    const { server, api } = await setUp((_request, response) => response.write('{"a":1}\n'), { http1Only: true });
    const seen: unknown[] = [];
    const failure = failureOf(read(await watch(api), seen));
    while (seen.length === 0) await settle();
    server.cut();
    expect((await failure).failure).toBe('cut');
  });

  it('is refused with the status of the server', async () => {
    const { api } = await setUp((_request, response) => {
      response.writeHead(410).end('{"kind":"Status","reason":"Expired","message":"too old"}');
    });
    expect(await failureOf(watch(api))).toMatchObject({ failure: 'gone', options: { reason: 'Expired' } });
  });
});

describe('the end', () => {
  it('cuts calls and watches in progress and leaves no socket and no timer', async () => {
    const clock = new FakeClock();
    const { server, apis, api } = await setUp(
      (request, response) => {
        if (request.url.startsWith('/watch')) response.write('{"a":1}\n');
      },
      { clock },
    );
    const { signal } = new AbortController();
    const call = failureOf(api.call(get));
    const watches = [];
    for (let i = 0; i < 101; i += 1) watches.push(await api.watch({ path: '/watch', query: {}, signal }));
    const reading = watches.map((watch) => failureOf(read(watch)));
    expect(server.connections).toBe(3);
    await apis.stop();
    expect((await call).failure).toBe('cut');
    for (const failure of await Promise.all(reading)) expect(failure.failure).toBe('cut');
    await server.idle();
    expect(clock.pendingTimers).toBe(0);
    expect(() => apis.open(accessTo(server, { type: 'token', token }))).toThrow(KubernetesApiError);
  });
});
