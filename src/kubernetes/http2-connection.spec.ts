import { afterEach, describe, expect, it } from '@jest/globals';
import { type Duplex, duplexPair } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { FakeClock } from '../../test/support/fake-clock.js';
import type { Exchange } from './api-connection.js';
import { Http2Connection } from './http2-connection.js';
import { readBody } from './response-body.js';
import { watchLines } from './watch-lines.js';

const FRAME = { data: 0, headers: 1, reset: 3, settings: 4 } as const;
const ACKNOWLEDGED = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
/** HPACK (RFC 7541, appendix A): `:status: 200`, and `content-encoding: gzip` as a literal with an indexed name. */
const STATUS_200: Buffer = Buffer.from([0x88]);
const GZIP: Buffer = Buffer.concat([Buffer.from([0x0f, 26 - 15, 4]), Buffer.from('gzip')]);

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/**
 * A server of raw frames, which writes whatever it likes to a request. In memory, because what is written in one piece is
 * then read within one callback, its end before its head is told: over TLS that happens now and then.
 */
function connectTo(answer: (socket: Duplex, stream: number) => void): Promise<Http2Connection> {
  const [client, socket] = duplexPair();
  let rest: Buffer = Buffer.alloc(0);
  let preface = 24;
  socket.write(frame(FRAME.settings, 0, 0));
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    if (rest.length < preface) return;
    rest = rest.subarray(preface);
    preface = 0;
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const [type, flags, stream] = [rest.readUInt8(3), rest.readUInt8(4), rest.readUInt32BE(5)];
      rest = rest.subarray(9 + rest.readUIntBE(0, 3));
      if (type === FRAME.settings && flags === 0) socket.write(frame(FRAME.settings, ACKNOWLEDGED, 0));
      if (type === FRAME.headers) setImmediate(() => answer(socket, stream));
    }
  });
  // What TLS adds is not looked at here.
  const plain = client as unknown as TLSSocket;
  return Http2Connection.open(plain, 'http://127.0.0.1', new FakeClock(), new AbortController().signal);
}

describe('an HTTP/2 connection', () => {
  const ends: Array<() => Promise<void>> = [];
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });

  async function exchangeWith(answer: (socket: Duplex, stream: number) => void): Promise<Exchange> {
    const connection = await connectTo(answer);
    ends.push(() => connection.close());
    return connection.send({ method: 'GET', path: '/', headers: {}, signal: new AbortController().signal });
  }

  const whole = (headers: Buffer, body: Buffer) => (socket: Duplex, stream: number) =>
    socket.write(
      Buffer.concat([frame(FRAME.headers, END_HEADERS, stream, headers), frame(FRAME.data, END_STREAM, stream, body)]),
    );

  it('gives an answer whole that arrives in one piece with its end', async () => {
    const plain = await exchangeWith(whole(STATUS_200, Buffer.from('{"a":1}')));
    expect((await readBody(plain, 1_000)).toString()).toBe('{"a":1}');
    const packed = await exchangeWith(whole(Buffer.concat([STATUS_200, GZIP]), gzipSync('{"a":1}')));
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect((await readBody(packed, 1_000)).toString()).toBe('{"a":1}');
  });

  it('gives a watch whole that ends as it begins', async () => {
    const exchange = await exchangeWith(whole(STATUS_200, Buffer.from('{"type":"ERROR"}\n')));
    const options = {
      asked: { method: 'GET', path: '/', origin: 'test' },
      signal: new AbortController().signal,
      clock: new FakeClock(),
    };
    const lines: unknown[] = [];
    for await (const line of watchLines(exchange, options)) lines.push(line);
    expect(lines).toEqual([{ type: 'ERROR' }]);
  });

  it('tells an answer that is reset in the same piece as cut', async () => {
    const exchange = await exchangeWith((socket, stream) => {
      const head = frame(FRAME.headers, END_HEADERS, stream, STATUS_200);
      const part = frame(FRAME.data, 0, stream, Buffer.from('{"a":'));
      const internalError = Buffer.from([0, 0, 0, 2]);
      socket.write(Buffer.concat([head, part, frame(FRAME.reset, 0, stream, internalError)]));
    });
    await expect(readBody(exchange, 1_000)).rejects.toThrow(/broke|reset|closed|INTERNAL_ERROR/i);
  });
});
