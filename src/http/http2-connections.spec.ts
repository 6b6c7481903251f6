import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type ClientHttp2Session, type Http2ServerResponse, connect, constants } from 'node:http2';
import { type AddressInfo, type Server, type Socket, connect as connectTcp, createServer } from 'node:net';
import { FakeClock } from '../../test/support/fake-clock.js';
import { SystemClock } from '../runtime/clock.js';
import { LINGER_MS } from './answered-stream.js';
import { Http2Connections, type Http2Options } from './http2-connections.js';
import { DRAIN_GRACE_MS } from './http2-server-session.js';

/** A frame: length, type 4, flags, stream. */
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

describe('Http2Connections', () => {
  let listener: Server;
  let connections: Http2Connections;
  let client: ClientHttp2Session;
  let answers: Http2ServerResponse[];

  beforeEach(async () => {
    answers = [];
    connections = connectionsOf({ clock: new SystemClock(), checkMs: 40, pingTimeoutMs: 40, requestTimeoutMs: 60 });
    // As Node's server of HTTP/1.1 accepts them.
    listener = createServer({ allowHalfOpen: true }, (socket) => connections.accept(socket));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    client = connect(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`);
    client.on('error', () => undefined);
  });
  afterEach(() => {
    client.destroy();
    connections.cut();
    listener.close();
  });

  const connectionsOf = (times: Omit<Http2Options, 'isOpenEnded' | 'take' | 'handle'>): Http2Connections =>
    new Http2Connections({
      ...times,
      isOpenEnded: ({ url }) => url === '/open',
      take: (stream, headers) => {
        if (headers[':path'] !== '/taken') return false;
        stream.on('error', () => undefined);
        stream.respond({ ':status': 200 });
        stream.write('as a stream');
        return true;
      },
      handle: (request, response) => {
        request.resume();
        answers.push(response);
      },
    });
  const closed = (end: { once(event: 'close', then: () => void): unknown }): Promise<void> =>
    new Promise((resolve) => void end.once('close', resolve));

  it('closes a session on which nothing goes on', async () => {
    while (connections.connections === 0) await new Promise(setImmediate);
    await closed(client);
    while (connections.connections > 0) await new Promise(setImmediate);
  });

  it('keeps a silent session with an open stream while its client answers pings', async () => {
    const stream = client.request({ ':path': '/quiet' });
    for (let pings = 0; pings < 2; pings += 1) await once(client, 'ping');
    answers[0]?.end('at last');
    await once(stream, 'response');
    expect(String((await once(stream, 'data'))[0])).toBe('at last');
  });

  it('cuts a session whose client is gone without a word', async () => {
    const { port } = listener.address() as AddressInfo;
    const lines: Socket[] = [];
    const between = createServer((near) => {
      const far = connectTcp(port, '127.0.0.1');
      near.pipe(far).pipe(near);
      lines.push(near, far);
    });
    between.listen(0, '127.0.0.1');
    await once(between, 'listening');
    const lost = connect(`http://127.0.0.1:${(between.address() as AddressInfo).port}`);
    lost.on('error', () => undefined);
    const stream = lost.request({ ':path': '/quiet' });
    stream.on('error', () => undefined);
    while (connections.connections === 0 || answers.length === 0) await new Promise(setImmediate);
    const gone = closed(answers[0] as Http2ServerResponse);
    for (const line of lines) line.unpipe().pause();
    await gone;
    for (const line of lines) line.destroy();
    lost.destroy();
    between.close();
  });

  it('ends the streams of a client that has ended the connection', async () => {
    const stream = client.request({ ':method': 'POST', ':path': '/open' }, { endStream: false });
    stream.on('error', () => undefined);
    while (answers.length === 0) await new Promise(setImmediate);
    const gone = closed(answers[0] as Http2ServerResponse);
    client.destroy();
    await gone;
  });

  it('leaves a stream to whoever takes it, for as long as it goes on', async () => {
    const stream = client.request({ ':method': 'POST', ':path': '/taken' }, { endStream: false });
    const slow = client.request({ ':method': 'POST', ':path': '/slow' }, { endStream: false });
    expect(String((await once(stream, 'data'))[0])).toBe('as a stream');
    await closed(slow);
    expect([stream.closed, answers.length]).toEqual([false, 1]);
    stream.close();
  });

  it('resets a request that is not through in its time, and leaves one that may go on', async () => {
    const slow = client.request({ ':method': 'POST', ':path': '/slow' }, { endStream: false });
    const open = client.request({ ':method': 'POST', ':path': '/open' }, { endStream: false });
    slow.write('half');
    open.write('half');
    await closed(slow);
    expect(slow.rstCode).toBe(8);
    expect(open.closed).toBe(false);
    open.close();
  });

  describe('by the hours of a clock', () => {
    const CHECK_MS = 30_000;
    let clock: FakeClock;
    let sockets: Socket[];
    const port = (): number => (listener.address() as AddressInfo).port;
    const until = async (holds: () => boolean): Promise<void> => {
      while (!holds()) await new Promise(setImmediate);
    };
    /** What was sent before the client's ping has come when it is answered. */
    const roundTrip = (): Promise<void> => new Promise((resolve) => void client.ping(() => resolve()));

    beforeEach(async () => {
      client.destroy();
      clock = new FakeClock();
      sockets = [];
      connections = connectionsOf({ clock, checkMs: CHECK_MS, pingTimeoutMs: 10_000, requestTimeoutMs: CHECK_MS });
      client = connect(`http://127.0.0.1:${port()}`);
      client.on('error', () => undefined);
      await roundTrip();
    });
    afterEach(() => {
      for (const socket of sockets) socket.destroy();
    });

    it('asks for a sign of life only of a client that gave none', async () => {
      let pings = 0;
      client.on('ping', () => (pings += 1));
      client.request({ ':method': 'POST', ':path': '/open' }, { endStream: false }).on('error', () => undefined);
      await until(() => answers.length === 1);
      for (const _look of [1, 2, 3]) {
        await clock.advance(CHECK_MS);
        await roundTrip();
      }
      expect(pings).toBe(0);
      await clock.advance(CHECK_MS * 2);
      await until(() => pings > 0);
    });

    it('ends a request whose client has its answer and goes on', async () => {
      const stream = client.request({ ':method': 'POST', ':path': '/open' }, { endStream: false });
      stream.write('and so on');
      await until(() => answers.length === 1);
      answers[0]?.writeHead(200, { trailer: 'x-end' }).addTrailers({ 'x-end': 'of it' });
      answers[0]?.end('no more');
      const trailers = once(stream, 'trailers');
      expect(String((await once(stream, 'data'))[0])).toBe('no more');
      expect((await trailers)[0]).toMatchObject({ 'x-end': 'of it' });
      const gone = Promise.all([closed(stream), closed(answers[0] as Http2ServerResponse)]);
      await clock.advance(LINGER_MS);
      await gone;
      expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
      expect(client.closed).toBe(false);
    });

    it('cuts no answer short that its client has not taken', async () => {
      const size = 300_000;
      const stream = client.request({ ':method': 'POST', ':path': '/open' }, { endStream: false });
      await until(() => answers.length === 1);
      answers[0]?.end(Buffer.alloc(size));
      await clock.advance(LINGER_MS * 5);
      let taken = 0;
      stream.on('data', (chunk: Buffer) => (taken += chunk.length));
      await until(() => taken === size);
      await roundTrip();
      const gone = closed(stream);
      await clock.advance(LINGER_MS);
      await gone;
    });

    it('closes connections whose clients do not, be they idle or with an answer that is not taken', async () => {
      const mute = connectTcp({ port: port(), host: '127.0.0.1', allowHalfOpen: true });
      sockets.push(mute.on('error', () => undefined).pause());
      mute.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), EMPTY_SETTINGS]));
      const blocked = client.request({ ':path': '/blocked' });
      blocked.on('error', () => undefined);
      await until(() => answers.length === 1 && connections.connections === 2);
      answers[0]?.end(Buffer.alloc(300_000));
      connections.close();
      await clock.advance(DRAIN_GRACE_MS - 1);
      expect(connections.connections).toBe(2);
      await clock.advance(1);
      await until(() => connections.connections === 0);
      expect(clock.pendingTimers).toBe(0);
    });

    it('waits for what is still to be answered', async () => {
      const stream = client.request({ ':path': '/slow' });
      await until(() => answers.length === 1);
      connections.close();
      await clock.advance(DRAIN_GRACE_MS * 3);
      answers[0]?.end('in the end');
      expect(String((await once(stream, 'data'))[0])).toBe('in the end');
      await until(() => connections.connections === 0);
    });
  });
});
