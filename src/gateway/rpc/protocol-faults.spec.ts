import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RAW_FORMS, RawRpc, type RawRequest } from '../../../test/support/raw-rpc.js';
import { RpcRoom } from '../../../test/support/rpc-room.js';

const MAX_BYTES = 4_096;

// What https://connectrpc.com/docs/protocol and https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md say of
// requests that break them. Of calls of gRPC the status of HTTP tells nothing.
describe.each(RAW_FORMS)('$contentType over HTTP/$httpVersion', (form) => {
  let room: RpcRoom;
  let rpc: RawRpc;
  let path: string;
  let message: Buffer;

  beforeEach(async () => {
    room = await RpcRoom.open({ gateway: { maxMessageBytes: MAX_BYTES } });
    room.answering = (method) => (method === 'watchRun' ? (async function* () {})() : {});
    rpc = new RawRpc(room.url, form);
    path = `/flowwatch.v1.${isConnectStream ? 'StreamService/WatchRun' : 'RunService/GetRunSteps'}`;
    message = Buffer.from(rpc.isJson ? '{"runId":"r"}' : '\x0a\x01r');
  });
  afterEach(async () => {
    rpc.close();
    await room.close();
  });

  const { contentType } = form;
  const isConnect = !contentType.includes('grpc');
  const isConnectStream = contentType.startsWith('application/connect+');
  const isConnectUnary = isConnect && !isConnectStream;
  const timeoutHeader = isConnect ? 'connect-timeout-ms' : 'grpc-timeout';
  const compressionHeader = isConnectUnary
    ? 'content-encoding'
    : isConnectStream
      ? 'connect-content-encoding'
      : 'grpc-encoding';

  const call = (request: Partial<RawRequest> = {}) => rpc.call({ path, body: rpc.wrap(message), ...request });
  /** Refused with this code and nobody asked; the connection goes on. */
  const expectRefusal = async (request: Partial<RawRequest>, code: string, ofConnect: number, ofOthers = 200) => {
    const refused = await call(request);
    expect([refused.code, refused.status]).toEqual([code, isConnectUnary ? ofConnect : ofOthers]);
    expect(room.callers).toEqual([]);
    expect((await call()).code).toBe('ok');
    if (form.httpVersion === '1.1') expect(rpc.isReused).toBe(true);
    return refused;
  };

  it('is answered without what proxies take away, and with what they add', async () => {
    const headers = { 'x-forwarded-for': '10.0.0.1', via: '1.1 proxy', traceparent: '00-0af7651916cd43dd-b7ad6b71-01' };
    expect(await call()).toMatchObject({ status: 200, code: 'ok' });
    expect(await call({ headers })).toMatchObject({ status: 200, code: 'ok' });
    if (form.httpVersion === '2') expect((await call({ headers: { te: 'trailers' } })).code).toBe('ok');
  });

  it('is unimplemented for an RPC that there is not', async () => {
    const isGrpc = contentType.startsWith('application/grpc+');
    for (const unknown of ['/flowwatch.v1.RunService/Drop', '/flowwatch.v1.No/GetRun', `${path}/`]) {
      await expectRefusal({ path: unknown }, 'unimplemented', 404, isGrpc ? 200 : 404);
      room.callers.length = 0;
    }
  });

  it('is unimplemented in an unknown compression, and the known ones are named', async () => {
    const body = rpc.wrap(message, 1);
    const { text } = await expectRefusal({ headers: { [compressionHeader]: 'zip' }, body }, 'unimplemented', 501);
    expect(text).toMatch(/gzip(?:,|%2C)br/);
  });

  it('is taken as it is in the compression `identity`', async () => {
    expect(await call({ headers: { [compressionHeader]: 'identity' } })).toMatchObject({ status: 200, code: 'ok' });
  });

  it.each(['soon', '-1', '', '1e3', isConnect ? '99999999999' : '123456789S', isConnect ? '1.5' : '5s'])(
    'is invalid with a deadline of %j',
    async (value) => {
      await expectRefusal({ headers: { [timeoutHeader]: value } }, 'invalid_argument', 400);
    },
  );

  it('is late with no time left, and in time with the longest that may be said', async () => {
    const late = await call({ headers: { [timeoutHeader]: isConnect ? '0' : '0n' } });
    expect([late.code, late.status]).toEqual(['deadline_exceeded', isConnectUnary ? 504 : 200]);
    for (const longest of isConnect ? ['9999999999', '2147483648'] : ['99999999H', '99999999M', '2147484S']) {
      expect([longest, (await call({ headers: { [timeoutHeader]: longest } })).code]).toEqual([longest, 'ok']);
    }
  });

  it('is invalid when it ends within its message, or goes on after it', async () => {
    const whole = rpc.wrap(message);
    await expectRefusal({ body: whole.subarray(0, -1) }, 'invalid_argument', 400);
    room.callers.length = 0;
    await expectRefusal({ body: Buffer.concat([whole, Buffer.alloc(2)]) }, 'invalid_argument', 400);
  });

  it('is refused by its status alone where it is in no protocol', async () => {
    for (const type of ['text/plain', 'application/xml', `${contentType}+x`, undefined]) {
      await expectRefusal({ headers: { 'content-type': type } }, 'unknown', 415, 415);
      room.callers.length = 0;
    }
  });

  it.each(['GET', 'PUT', 'DELETE'])('is not to be called with %s', async (method) => {
    const query = '?connect=v1&encoding=json&message=%7B%22runId%22%3A%22r%22%7D';
    const request = { method, path: `/flowwatch.v1.RunService/CancelRun${query}`, body: Buffer.alloc(0) };
    const { headers } = await expectRefusal(request, 'unimplemented', 405, 405);
    expect(headers['allow']).toBe('POST');
  });

  it('is cut off with headers that are too large, and the service goes on', async () => {
    // Over HTTP/2 the limit holds from when the client has heard of it.
    await call();
    room.callers.length = 0;
    const cut = await call({ headers: { 'x-large': 'x'.repeat(20_000) } }).then(
      ({ status }) => status,
      (error: unknown) => String(error),
    );
    expect(cut).toEqual(form.httpVersion === '2' ? expect.stringContaining('NGHTTP2_ENHANCE_YOUR_CALM') : 431);
    expect(room.callers).toEqual([]);
    expect((await call({ headers: { 'x-large': 'x'.repeat(8_000) } })).code).toBe('ok');
  });

  it('leaves a connection as it was, however much of a message was refused', async () => {
    for (let time = 0; time < 5; time += 1) {
      const refused = await call({ body: rpc.wrap(Buffer.alloc(2_000_000, 'x')) });
      expect([refused.code, refused.status]).toEqual(['resource_exhausted', isConnectUnary ? 429 : 200]);
      expect(refused.text).toContain('CROWSNEST_GATEWAY_MAX_MESSAGE');
      expect((await call()).code).toBe('ok');
      if (form.httpVersion === '1.1') expect(rpc.isReused).toBe(true);
    }
  });

  if (!isConnectUnary) {
    it('is `internal` when it is flagged as compressed by nothing', async () => {
      await expectRefusal({ body: rpc.wrap(message, 1) }, 'internal', 200);
    });

    it('is unimplemented with no message, or two, where there is to be one', async () => {
      const one = rpc.wrap(message);
      await expectRefusal({ body: Buffer.alloc(0) }, 'unimplemented', 200);
      room.callers.length = 0;
      await expectRefusal({ body: Buffer.concat([one, one]) }, 'unimplemented', 200);
    });

    it('is refused at the length that it announces, before that much has come', async () => {
      const head = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
      await expectRefusal({ body: Buffer.concat([head, message]) }, 'resource_exhausted', 200);
    });
  }

  if (isConnect) {
    it('is invalid in a version of Connect that is not known', async () => {
      await expectRefusal({ headers: { 'connect-protocol-version': '2' } }, 'invalid_argument', 400);
      expect((await call({ headers: { 'connect-protocol-version': '1' } })).code).toBe('ok');
    });
  }
});
