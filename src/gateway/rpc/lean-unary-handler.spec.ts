import { connect, constants } from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RpcRoom } from '../../../test/support/rpc-room.js';
import { abortable } from '../../runtime/abortable.js';
import { GetRunRequestSchema, ListRunsRequestSchema } from '../gen/flowwatch/v1/run_service_pb.js';
import { invalidArgument } from '../input/invalid-argument.js';

/** Written like this the same request is the library's to answer. */
const LEAN = 'application/proto';
const LIBRARY = 'Application/Proto';
const GET_RUN = '/flowwatch.v1.RunService/GetRun';
const LIST_RUNS = '/flowwatch.v1.RunService/ListRuns';
const RUN = toBinary(GetRunRequestSchema, create(GetRunRequestSchema, { runId: 'r-1' }));
const LIST = toBinary(ListRunsRequestSchema, create(ListRunsRequestSchema, {}));

interface Asked {
  readonly path?: string;
  readonly body?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

describe('LeanUnaryHandler', () => {
  let room: RpcRoom;

  beforeEach(async () => {
    room = await RpcRoom.open({ keys: { reader: 'viewer' }, gateway: { maxMessageBytes: 4_096 } });
    room.answering = () => ({ run: Buffer.from('bytes of a run') });
  });
  afterEach(() => room.close());

  async function overHttp1(type: string, { path = GET_RUN, body = RUN, headers = {} }: Asked): Promise<unknown> {
    const answer = await fetch(`${room.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': type, authorization: 'Bearer reader', 'x-request-id': 'r', ...headers },
      body: Buffer.from(body),
    });
    const head = { ...Object.fromEntries(answer.headers), date: '' };
    return { status: answer.status, head, body: Buffer.from(await answer.arrayBuffer()).toString('latin1') };
  }

  async function overHttp2(type: string, { path = GET_RUN, body = RUN, headers = {} }: Asked): Promise<unknown> {
    const session = connect(room.url);
    try {
      return await new Promise((resolve, reject) => {
        const more = { 'content-type': type, authorization: 'Bearer reader', 'x-request-id': 'r', ...headers };
        const stream = session.request({ ':method': 'POST', ':path': path, ...more });
        let head = {};
        let text = '';
        stream.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
        stream.on('response', (headers) => (head = { ...headers, date: '' }));
        stream.on('error', reject).on('end', () => resolve({ head, body: text }));
        stream.end(body);
      });
    } finally {
      session.destroy();
    }
  }

  const cases: ReadonlyArray<readonly [string, Asked, (() => void)?]> = [
    ['a run', {}],
    ['a list with notes', { path: LIST_RUNS, body: LIST }, () => (room.answering = () => ({ runs: [] }))],
    ['whose part is missing', { path: LIST_RUNS, body: LIST }, missing],
    ['an empty message', { body: Buffer.alloc(0) }],
    ['a caller without a key', { headers: { authorization: '' } }],
    ['a wrong key', { headers: { authorization: 'Bearer nobody' } }],
    ['a foreign page', { headers: { origin: 'https://elsewhere.example' } }],
    ['a deadline that is kept', { headers: { 'connect-timeout-ms': '5000' } }],
    ['a deadline that is no number', { headers: { 'connect-timeout-ms': 'soon' } }],
    ['a compression that nobody knows', { headers: { 'content-encoding': 'rot13' } }],
    ['a small answer to who takes compressed ones', { headers: { 'accept-encoding': 'gzip' } }],
    ['an error', {}, () => failWith(new ConnectError('no such run', Code.NotFound))],
    ['an error with details', {}, () => failWith(invalidArgument({ field: 'run_id', description: 'is none' }))],
    ['an error with headers', {}, () => failWith(new ConnectError('later', Code.Unavailable, { 'retry-after': '3' }))],
    ['an error that nobody expected', {}, () => failWith(new TypeError('secret'))],
    ['a loop', { headers: { 'crowsnest-gateway-path': 'x, aa00bb11cc22' } }],
  ];

  function missing(): void {
    room.failures = [{ subsystemId: 'a', reason: 'stale' }];
    room.answering = () => ({ runs: [] });
  }

  function failWith(error: Error): void {
    room.answering = () => Promise.reject(error);
  }

  it.each(cases)('answers as the library does: %s', async (_name, asked, ...[prepare]) => {
    prepare?.();
    expect(await overHttp1(LEAN, asked)).toEqual(await overHttp1(LIBRARY, asked));
    expect(await overHttp2(LEAN, asked)).toEqual(await overHttp2(LIBRARY, asked));
    await room.untilEnded(4);
    const told = room.ended.map(({ method, code, status, principal }) => ({ method, code, status, principal }));
    expect(told).toEqual(told.map(() => told[1]));
  });

  it('compresses a large answer for who takes it', async () => {
    room.answering = () => ({ run: Buffer.alloc(32_768, 'a') });
    const asked = { headers: { 'accept-encoding': 'br, gzip' } };
    const answer = await overHttp2(LEAN, asked);
    expect(answer).toMatchObject({ head: { 'content-encoding': 'br' } });
    expect(answer).toEqual(await overHttp2(LIBRARY, asked));
  });

  it.each([overHttp1, overHttp2])(
    'refuses what it cannot read or is too large, and says so when it is over',
    async (ask) => {
      expect(JSON.stringify(await ask(LEAN, { body: Buffer.from([0xff, 0xff]) }))).toContain('invalid_argument');
      expect(JSON.stringify(await ask(LEAN, { body: Buffer.alloc(8_192) }))).toContain('resource_exhausted');
      await room.untilEnded(2);
      expect(room.ended.map(({ code }) => code)).toEqual(['invalid_argument', 'resource_exhausted']);
      expect(room.callers).toEqual([]);
    },
  );

  it('keeps to the deadline of the caller, even if the answer does not', async () => {
    room.answering = () => new Promise(() => undefined);
    const answer = await overHttp2(LEAN, { headers: { 'connect-timeout-ms': '20' } });
    expect(answer).toEqual(await overHttp2(LIBRARY, { headers: { 'connect-timeout-ms': '20' } }));
    expect(answer).toMatchObject({ head: { ':status': 504 } });
  });

  it('tells the answer when the client is gone, before its message and after', async () => {
    const asked = Promise.withResolvers<AbortSignal>();
    room.answering = (_method, { signal }) => {
      asked.resolve(signal);
      return abortable(new Promise(() => undefined), signal);
    };
    const session = connect(room.url);
    const headers = { ':method': 'POST', ':path': GET_RUN, 'content-type': LEAN, authorization: 'Bearer reader' };
    const unanswered = session.request(headers).on('error', () => undefined);
    unanswered.end(RUN);
    const signal = await asked.promise;
    const unfinished = session.request(headers).on('error', () => undefined);
    unfinished.write(RUN.subarray(0, 1));
    await new Promise((resolve) => session.ping(resolve));
    for (const stream of [unanswered, unfinished]) stream.close(constants.NGHTTP2_CANCEL);
    await room.untilEnded(2);
    session.destroy();
    expect(signal.aborted).toBe(true);
    // Of a message that was cut Node says that it has ended: it may count as one that cannot be read.
    const codes = room.ended.map(({ code }) => code);
    expect(codes.filter((code) => !['canceled', 'invalid_argument'].includes(code))).toEqual([]);
    expect(codes).toContain('canceled');
    expect(room.callers).toHaveLength(1);
  });
});
