import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type ClientHttp2Session, type Http2ServerResponse, connect } from 'node:http2';
import { type AddressInfo, type Server, type Socket, connect as connectTcp, createServer } from 'node:net';
import { SystemClock } from '../runtime/clock.js';
import { Http2Connections } from './http2-connections.js';

describe('Http2Connections', () => {
  let listener: Server;
  let connections: Http2Connections;
  let client: ClientHttp2Session;
  let answers: Http2ServerResponse[];

  beforeEach(async () => {
    answers = [];
    connections = new Http2Connections({
      clock: new SystemClock(),
      checkMs: 40,
      pingTimeoutMs: 40,
      requestTimeoutMs: 60,
      isOpenEnded: ({ url }) => url === '/open',
      handle: (_request, response) => void answers.push(response),
    });
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

  const closed = (end: { once(event: 'close', then: () => void): unknown }): Promise<void> =>
    new Promise((resolve) => void end.once('close', resolve));

  it('closes a session on which nothing goes on', async () => {
    while (connections.sessions === 0) await new Promise(setImmediate);
    await closed(client);
    while (connections.sessions > 0) await new Promise(setImmediate);
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
    while (connections.sessions === 0 || answers.length === 0) await new Promise(setImmediate);
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
});
