import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import type { IncomingMessage } from 'node:http';
import { gzipSync } from 'node:zlib';
import { RpcRoom, WIRES, transportOf } from '../../../test/support/rpc-room.js';
import { invalidArgument } from '../input/invalid-argument.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { RunEventType, StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import { RunSchema, RunStatus } from '../gen/flowwatch/v1/types_pb.js';
import { WorkflowService } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { GatewayMessageSchema, GatewayService } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';

const RUN = create(RunSchema, { id: 'r-1', workflowId: 'w', status: RunStatus.RUNNING });

async function codeOf(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error('the call went well');
}

describe.each(WIRES)('the services over %s, HTTP/%s', (wire, httpVersion) => {
  let room: RpcRoom;
  let runs: ReturnType<typeof createClient<typeof RunService>>;
  let live: ReturnType<typeof createClient<typeof StreamService>>;

  beforeEach(async () => {
    room = await RpcRoom.open();
    const transport = transportOf(wire, httpVersion, room.url);
    runs = createClient(RunService, transport);
    live = createClient(StreamService, transport);
  });
  afterEach(() => room.close());

  it('answers, decoded to JSON clients and undecoded to others, and says whose part is missing', async () => {
    room.failures = [{ subsystemId: 'a b', reason: 'timeout' }];
    const asBytes = wire !== 'connect-json';
    room.answering = () => ({ runs: asBytes ? [toBinary(RunSchema, RUN)] : [RUN], pagination: { nextCursor: 'n' } });
    let headers = new Headers();
    const options = { onHeader: (got: Headers) => void (headers = got) };
    const answer = await runs.listRuns({ orderBy: 'started_at', pagination: { limit: 5 } }, options);
    expect(answer.runs).toEqual([RUN]);
    expect(answer.pagination?.nextCursor).toBe('n');
    expect(headers.get('crowsnest-failed-subsystems')).toBe('a%20b;timeout');
    expect(headers.get('crowsnest-notes')).toBe(asBytes ? 'unstable' : null);
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(room.callers).toMatchObject([
      {
        method: asBytes ? 'listRunsUndecoded' : 'listRuns',
        request: { orderBy: 'started_at', pagination: { limit: 5 } },
        caller: { principal: { id: 'local' } },
      },
    ]);
  });

  it('tells errors with code, message and details', async () => {
    room.answering = () => {
      throw invalidArgument({ field: 'run_id', description: 'must be given' });
    };
    const error = await codeOf(runs.cancelRun({}));
    expect([error.code, error.rawMessage]).toEqual([Code.InvalidArgument, 'run_id must be given']);
    expect(error.findDetails(BadRequestSchema)).toMatchObject([{ fieldViolations: [{ field: 'run_id' }] }]);
    await room.untilEnded(1);
    expect(room.ended).toMatchObject([{ method: 'CancelRun', access: 'operator', code: 'invalid_argument' }]);
  });

  it('shows nothing of an error that nobody expected', async () => {
    room.answering = () => {
      throw new Error('secret of the house');
    };
    const error = await codeOf(runs.getRunSteps({ runId: 'r' }));
    expect(error.code).toBe(Code.Internal);
    expect(error.message).not.toContain('secret');
  });

  it('keeps to the deadline of the caller, even if the answer does not', async () => {
    room.answering = () => new Promise(() => undefined);
    const error = await codeOf(runs.getRunSteps({ runId: 'r' }, { timeoutMs: 500 }));
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(room.callers[0]?.caller.timeoutMs).toBeLessThanOrEqual(500);
    await room.untilEnded(1);
    expect(room.callers[0]?.caller.signal.aborted).toBe(true);
    // The client gives up at the same moment, and may be the first.
    expect(['deadline_exceeded', 'canceled']).toContain(room.ended[0]?.code);
  });

  it('passes the idempotency key on, and no credential', async () => {
    await runs.cancelRun({ runId: 'r' }, { headers: { 'Idempotency-Key': 'k-1', Cookie: 'a=b' } });
    expect(room.callers[0]?.caller).toMatchObject({ idempotencyKey: 'k-1' });
    expect(JSON.stringify(room.callers[0]?.caller)).not.toContain('a=b');
  });

  it('streams, and knows when the client is gone', async () => {
    let end: AbortSignal | undefined;
    room.answering = async function* (_method: string, { signal }: { signal: AbortSignal }) {
      end = signal;
      yield { eventType: RunEventType.CREATED, run: RUN };
      yield { eventType: RunEventType.UPDATED, run: RUN };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    } as never;
    const stop = new AbortController();
    const seen: RunEventType[] = [];
    let polled: string | null = null;
    const options = {
      signal: stop.signal,
      onHeader: (got: Headers) => void (polled = got.get('crowsnest-polled-subsystems')),
    };
    const error = await codeOf(
      (async () => {
        for await (const { eventType } of live.watchRuns({ workflowIds: ['w'] }, options)) {
          seen.push(eventType);
          if (seen.length === 2) stop.abort();
        }
      })(),
    );
    expect([error.code, seen, polled]).toEqual([
      Code.Canceled,
      [RunEventType.CREATED, RunEventType.UPDATED],
      'old%20one',
    ]);
    await room.untilEnded(1);
    expect(end?.aborted).toBe(true);
    expect(room.ended).toMatchObject([{ method: 'WatchRuns', code: 'canceled' }]);
  });

  it('begins with its headers though nothing happens, and ends with its error as any other', async () => {
    room.failures = [{ subsystemId: 'billing', reason: 'stale' }];
    let fail: (error: Error) => void = () => undefined;
    room.answering = async function* () {
      yield await new Promise<never>((_resolve, reject) => (fail = reject));
    } as never;
    const head = Promise.withResolvers<Headers>();
    const feed = live.watchRuns({}, { onHeader: (got) => head.resolve(got) })[Symbol.asyncIterator]();
    const ended = codeOf(feed.next() as Promise<unknown>);
    const headers = await head.promise;
    expect(headers.get('crowsnest-failed-subsystems')).toBe('billing;stale');
    expect(headers.get('crowsnest-polled-subsystems')).toBe('old%20one');
    fail(new ConnectError('it broke', Code.DataLoss));
    expect(await ended).toMatchObject({ code: Code.DataLoss, rawMessage: 'it broke' });
    await room.untilEnded(1);
    expect(room.ended).toMatchObject([{ code: 'data_loss', status: 200 }]);
  });

  it('makes no messages that the client does not take', async () => {
    let made = 0;
    room.answering = async function* () {
      for (;;) {
        made += 1;
        yield { run: { id: 'x'.repeat(65_536) } };
        await new Promise(setImmediate);
      }
    } as never;
    const stop = new AbortController();
    const feed = live.watchRuns({}, { signal: stop.signal })[Symbol.asyncIterator]();
    await feed.next();
    let before: number;
    do {
      before = made;
      for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
    } while (made !== before);
    expect(made).toBeLessThan(400);
    stop.abort();
    await codeOf(feed.next() as Promise<unknown>);
    await room.untilEnded(1);
  });

  it('ends streams when the service ends, and takes no more calls', async () => {
    room.answering = async function* (_method: string, { signal }: { signal: AbortSignal }) {
      yield { eventType: RunEventType.CREATED, run: RUN };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    } as never;
    const feed = live.watchRuns({})[Symbol.asyncIterator]();
    await feed.next();
    const stopped = room.rpc.stop(new AbortController().signal);
    expect((await codeOf(feed.next() as Promise<unknown>)).code).toBe(Code.Unavailable);
    await stopped;
    expect((await codeOf(runs.getRun({ runId: 'r' }))).code).toBe(Code.Unavailable);
  });

  it('refuses a message that is too large', async () => {
    await room.close();
    room = await RpcRoom.open({ gateway: { maxMessageBytes: 2_048 } });
    runs = createClient(RunService, transportOf(wire, httpVersion, room.url));
    expect((await codeOf(runs.getRun({ runId: 'r'.repeat(3_000) }))).code).toBe(Code.ResourceExhausted);
    room.answering = () => ({});
    await runs.cancelRun({ runId: 'r' });
    expect(room.callers).toHaveLength(1);
  });

  it('says of an RPC that there is not that it is unimplemented', async () => {
    const service = { ...RunService, typeName: 'flowwatch.v1.NoService' };
    const method = { ...RunService.method.getRun, name: 'Nothing', parent: service };
    const transport = transportOf(wire, httpVersion, room.url);
    const error = await codeOf(
      transport.unary(method as never, undefined, undefined, undefined, { runId: 'r' } as never),
    );
    expect(error.code).toBe(Code.Unimplemented);
  });

  it('begins nothing that lasts while a shutdown is announced', async () => {
    room.readiness.markDraining();
    expect((await codeOf(live.watchRuns({})[Symbol.asyncIterator]().next() as Promise<unknown>)).code).toBe(
      Code.Unavailable,
    );
    await runs.cancelRun({ runId: 'r' });
  });
});

describe('the wire', () => {
  let room: RpcRoom;

  beforeEach(async () => {
    room = await RpcRoom.open({ gateway: { maxMessageBytes: 4_096 } });
  });
  afterEach(() => room.close());

  const post = (path: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${room.url}${path}`, {
      method: 'POST',
      body: body as never,
      headers: { 'Content-Type': 'application/json', ...headers },
    });
  const RUN_PATH = '/flowwatch.v1.RunService/GetRun';

  it.each([
    ['bad JSON', RUN_PATH, '{"runId":', {}, 400, 'invalid_argument'],
    ['JSON of another shape', RUN_PATH, '{"runId":{}}', {}, 400, 'invalid_argument'],
    [
      'bytes that are no message',
      RUN_PATH,
      '\x0f\xff',
      { 'Content-Type': 'application/proto' },
      400,
      'invalid_argument',
    ],
    ['an unknown RPC', '/flowwatch.v1.RunService/DropRuns', '{}', {}, 404, 'unimplemented'],
    ['an unknown content type', RUN_PATH, '{}', { 'Content-Type': 'text/plain' }, 415, 'unknown'],
    ['an unknown compression', RUN_PATH, '{}', { 'Content-Encoding': 'zip' }, 501, 'unimplemented'],
    ['a deadline that is none', RUN_PATH, '{}', { 'Connect-Timeout-Ms': 'soon' }, 400, 'invalid_argument'],
    ['a bad idempotency key', RUN_PATH, '{}', { 'Idempotency-Key': 'a b' }, 400, 'invalid_argument'],
    ['a page of another site', RUN_PATH, '{}', { Origin: 'http://evil.example' }, 403, 'permission_denied'],
    ['a message that is too large', RUN_PATH, `{"runId":"${'r'.repeat(5_000)}"}`, {}, 429, 'resource_exhausted'],
  ])('refuses %s', async (_what, path, body, headers: Record<string, string>, status, code) => {
    const answer = await post(path, Buffer.from(body, 'latin1'), headers);
    expect([answer.status, await answer.json()]).toEqual([status, expect.objectContaining({ code })]);
    expect(room.callers).toEqual([]);
  });

  it('ignores fields of JSON that it does not know', async () => {
    expect((await post(RUN_PATH, '{"runId":"r","later":1}')).status).toBe(200);
  });

  it('takes compressed messages, and no bomb', async () => {
    const gzip = { 'Content-Encoding': 'gzip' };
    expect((await post(RUN_PATH, gzipSync('{"runId":"r"}'), gzip)).status).toBe(200);
    expect(room.callers).toMatchObject([{ request: { runId: 'r' } }]);
    const bomb = gzipSync(`{"runId":"${'r'.repeat(10_000_000)}"}`, { level: 9 });
    await post(RUN_PATH, bomb, gzip).then(async (answer) =>
      expect([answer.status, await answer.json()]).toEqual([
        429,
        expect.objectContaining({ code: 'resource_exhausted' }),
      ]),
    );
    const chain = gzipSync(gzipSync('{"runId":"r"}'));
    expect((await post(RUN_PATH, chain, gzip)).status).toBe(400);
  });

  it('compresses large answers for those who take it', async () => {
    room.answering = () => ({
      workflows: Array.from({ length: 500 }, (_, n) => ({ id: `w-${n}`, name: 'x'.repeat(40) })),
    });
    const answer = await post('/flowwatch.v1.WorkflowService/ListWorkflows', '{}', { 'Accept-Encoding': 'gzip' });
    expect(answer.headers.get('content-encoding')).toBe('gzip');
    expect(((await answer.json()) as { workflows: unknown[] }).workflows).toHaveLength(500);
  });

  it('answers other methods than POST with 405', async () => {
    const answer = await fetch(`${room.url}${RUN_PATH}?encoding=json&message=%7B%7D`);
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it('asks for HTTP/2 where both sides stream, and ends a connection on which it would go on', async () => {
    const { request } = await import('node:http');
    const headers = { 'Content-Type': 'application/connect+proto' };
    const sent = request(`${room.url}/flowwatch.v1.GatewayService/Register`, { method: 'POST', headers });
    sent.on('error', () => undefined).write('and so on');
    const answer = await new Promise<IncomingMessage>((resolve) => sent.once('response', resolve));
    const closed = new Promise((resolve) => sent.once('close', resolve));
    let text = '';
    for await (const chunk of answer) text += String(chunk);
    expect([answer.statusCode, answer.headers.connection]).toEqual([505, 'close']);
    expect(JSON.parse(text)).toEqual({ code: 'unimplemented', message: expect.stringMatching(/h2c.*ALPN/) });
    await closed;
    await room.untilEnded(1);
    expect(room.ended).toMatchObject([{ method: 'Register', code: 'unimplemented', status: 505 }]);
  });

  it('lets pages of listed origins ask, see what they need, and no others', async () => {
    const Origin = 'http://localhost:5173';
    const preflight = await fetch(`${room.url}${RUN_PATH}`, {
      method: 'OPTIONS',
      headers: { Origin, 'Access-Control-Request-Method': 'POST' },
    });
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([204, Origin]);
    for (const name of [
      'Content-Type',
      'Connect-Protocol-Version',
      'Connect-Timeout-Ms',
      'X-Grpc-Web',
      'Authorization',
    ]) {
      expect(preflight.headers.get('access-control-allow-headers')?.toLowerCase()).toContain(name.toLowerCase());
    }
    const answer = await post(RUN_PATH, '{}', { Origin });
    expect(answer.headers.get('access-control-allow-origin')).toBe(Origin);
    expect(answer.headers.get('access-control-expose-headers')).toContain('crowsnest-failed-subsystems');
    expect(answer.headers.get('vary')).toBe('Origin');
    const evil = await fetch(`${room.url}${RUN_PATH}`, {
      method: 'OPTIONS',
      headers: { Origin: 'http://evil.example' },
    });
    expect(evil.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('goes on with a connection after a refusal that left the message unread', async () => {
    const { Agent, request } = await import('node:http');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const call = (body: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const headers = { 'Content-Type': 'application/json' };
        const sent = request(`${room.url}${RUN_PATH}`, { agent, method: 'POST', headers }, (answer) => {
          answer.resume().once('end', () => resolve(answer.statusCode));
        });
        sent.once('error', reject).end(body);
      });
    expect(await call(`{"runId":"${'r'.repeat(300_000)}"}`)).toBe(429);
    expect(await call('{"runId":"r"}')).toBe(200);
    agent.destroy();
  });

  it('gives a registration its peer, its key and what it sends, and passes on what it is told', async () => {
    const heard: unknown[] = [];
    let context: { peerAddress: string; headers: Headers } | undefined;
    room.register = async function* (messages, given) {
      context = given;
      for await (const { msg } of messages) {
        heard.push(msg.case);
        yield create(GatewayMessageSchema, { msg: { case: 'disconnect', value: { reason: 'heard' } } });
      }
    };
    const { client, messages } = registrationClient();
    const answers = client.register(messages.stream, { headers: { Authorization: 'Bearer of-a-subsystem' } });
    const iterator = answers[Symbol.asyncIterator]();
    messages.push({ msg: { case: 'register', value: { subsystemId: 's' } } });
    expect((await iterator.next()).value).toMatchObject({ msg: { case: 'disconnect', value: { reason: 'heard' } } });
    messages.push({ msg: { case: 'pong', value: {} } });
    await iterator.next();
    messages.end();
    expect((await iterator.next()).done).toBe(true);
    expect(heard).toEqual(['register', 'pong']);
    expect(context?.peerAddress).toBe('127.0.0.1');
    expect(context?.headers.get('authorization')).toBe('Bearer of-a-subsystem');
  });

  function registrationClient() {
    const queue: unknown[] = [];
    let wake: () => void = () => undefined;
    let isOver = false;
    async function* stream() {
      for (;;) {
        while (queue.length > 0) yield queue.shift() as never;
        if (isOver) return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
    return {
      client: createClient(GatewayService, transportOf('connect', '2', room.url)),
      messages: {
        stream: stream(),
        push: (message: unknown): void => {
          queue.push(message);
          wake();
        },
        end: (): void => {
          isOver = true;
          wake();
        },
      },
    };
  }

  it('answers a workflow client over HTTP/1.1 as curl would', async () => {
    room.answering = () => ({ subsystems: [{ subsystem: { id: 'billing' } }] });
    const answer = await post('/flowwatch.v1.WorkflowService/ListSubsystems', '{}');
    expect(await answer.json()).toEqual({ subsystems: [{ subsystem: { id: 'billing' } }] });
    expect(createClient(WorkflowService, transportOf('connect', '1.1', room.url))).toBeDefined();
  });
});
