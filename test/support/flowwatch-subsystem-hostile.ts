import { createServer as createHttp1 } from 'node:http';
import { constants, createServer as createHttp2 } from 'node:http2';
import { finished } from 'node:stream';
import type { RpcRequest, RpcResponse } from './flowwatch-subsystem-adapter.js';
import { byPreface } from './flowwatch-subsystem.js';
import { LoopbackServer } from './loopback-server.js';

export const HOSTILE_ANSWERS = [
  /** Data without end, as fast as it is taken. */
  'endless',
  'declares-1gib',
  'wrong-protobuf',
  'html',
  'redirect-302',
  'redirect-307',
  'bad-gateway',
  'compressed',
  'big-header',
  /** Half of the answer, then the connection breaks. */
  'cut-within',
  /** Something that can be read, then the stream is reset without an error (HTTP/1.1: the connection breaks). */
  'cut-quietly',
  /** The connection breaks when the request is there. */
  'cut',
  'hang',
  /** A byte each time `drip` is called. */
  'drip',
  /** RST_STREAM with REFUSED_STREAM (HTTP/2 only). */
  'refuse',
  /** Hangs at the first call, then GOAWAY that says that it alone was processed; from then on as `refuse` (HTTP/2 only). */
  'goaway',
  /** An envelope that says it has 1 GiB. */
  'envelope-1gib',
  /** A stream that ends without the end-of-stream message. */
  'no-end',
  /** Events without end, as fast as they are taken. */
  'flood',
] as const;
export type HostileAnswer = (typeof HOSTILE_ANSWERS)[number];

const CHUNK = Buffer.alloc(64 * 1024, 0x0a);
/** A GetRunResponse with a run of the id `a`. */
const RUN_A = Buffer.from([0x0a, 0x03, 0x0a, 0x01, 0x61]);
const REDIRECT = { location: 'http://169.254.169.254/latest/meta-data/' };
const PROTO = { 'content-type': 'application/proto' };
const CONNECT = { 'content-type': 'application/connect+proto' };

/** Listens where a subsystem should, and answers every call as badly as it was told to. */
export class HostileSubsystem {
  requests = 0;
  connections = 0;
  /** Bytes of `endless` and `flood` that were handed over. */
  written = 0;
  private readonly dripping = new Set<RpcResponse>();
  private readonly server: LoopbackServer;

  /** `silent`: accepts connections and says nothing. `gibberish`: answers in no protocol. */
  constructor(
    public answer: HostileAnswer | 'silent' | 'gibberish',
    protocols: 'http1' | 'http2' | 'both' = 'both',
  ) {
    const http2 = createHttp2((request, response) => this.respond(request, response));
    const http1 = createHttp1((request, response) => this.respond(request, response));
    http2.on('sessionError', () => undefined);
    this.server = new LoopbackServer((socket) => {
      this.connections += 1;
      if (this.answer === 'silent') return;
      if (this.answer === 'gibberish') socket.write(Buffer.alloc(100, 0xff));
      else if (protocols === 'http1') http1.emit('connection', socket);
      else if (protocols === 'http2') http2.emit('connection', socket);
      else byPreface(socket, http2, http1);
    });
  }

  async start(port = 0): Promise<this> {
    await this.server.start(port);
    return this;
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }

  get endpoint(): string {
    return this.server.origin;
  }

  drip(): void {
    for (const response of this.dripping) write(response, Buffer.from([0x0a]));
  }

  private respond(request: RpcRequest, response: RpcResponse): void {
    this.requests += 1;
    response.on('error', () => undefined);
    request.on('error', () => undefined).resume();
    const session = 'stream' in request ? request.stream.session : undefined;
    switch (this.answer) {
      case 'endless':
        begin(response, 200, PROTO);
        return this.pour(response, CHUNK);
      case 'flood':
        begin(response, 200, CONNECT);
        return this.pour(response, Buffer.concat(Array.from({ length: 64 }, () => event(1_000))));
      case 'declares-1gib':
        begin(response, 200, { ...PROTO, 'content-length': 1 << 30 });
        return void write(response, CHUNK);
      case 'wrong-protobuf':
        return end(response, 200, PROTO, Buffer.alloc(1_000, 0xff));
      case 'html':
        return end(response, 200, { 'content-type': 'text/html' }, Buffer.from('<h1>Welcome</h1>'));
      case 'redirect-302':
        return end(response, 302, REDIRECT);
      case 'redirect-307':
        return end(response, 307, REDIRECT);
      case 'bad-gateway':
        return end(response, 502, { 'content-type': 'text/html' }, Buffer.from('upstream 10.0.0.9 failed'));
      case 'compressed':
        return end(response, 200, { ...PROTO, 'content-encoding': 'gzip' }, CHUNK);
      case 'big-header':
        return end(response, 200, { ...PROTO, 'x-big': 'x'.repeat(200_000) });
      case 'cut-within':
        begin(response, 200, 'stream' in request ? PROTO : { ...PROTO, 'content-length': 100_000 });
        write(response, CHUNK.subarray(0, 1_000));
        return void setImmediate(() => this.server.reset());
      case 'cut-quietly':
        if (!('stream' in request)) return this.server.reset();
        begin(response, 200, PROTO);
        return void request.stream.write(RUN_A, () => request.stream.destroy());
      case 'cut':
        return this.server.reset();
      case 'refuse':
        return 'stream' in request ? request.stream.close(constants.NGHTTP2_REFUSED_STREAM) : this.server.reset();
      case 'goaway':
        if (!('stream' in request) || request.stream.id === 1) return;
        this.answer = 'refuse';
        session?.goaway(constants.NGHTTP2_NO_ERROR, 1);
        return void setImmediate(() => session?.destroy());
      case 'envelope-1gib':
        begin(response, 200, CONNECT);
        return void write(response, Buffer.from([0, 0x40, 0, 0, 0, 1, 2, 3]));
      case 'no-end':
        return end(response, 200, CONNECT, event(10));
      case 'drip':
        begin(response, 200, PROTO);
        this.dripping.add(response);
        finished(response, () => this.dripping.delete(response));
        return;
      default:
        return;
    }
  }

  private pour(response: RpcResponse, chunk: Uint8Array): void {
    const more = (): void => {
      let takes = true;
      while (takes && !response.destroyed) {
        takes = write(response, chunk);
        this.written += chunk.length;
      }
    };
    response.on('drain', more);
    more();
  }
}

/** An enveloped RunEvent that holds an unknown field of so many bytes. */
function event(bytes: number): Buffer {
  const field = Buffer.concat([Buffer.from([0xfa, 0x01, 0x80 | (bytes & 0x7f), bytes >> 7]), Buffer.alloc(bytes)]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(field.length, 1);
  return Buffer.concat([head, field]);
}

type Fields = Readonly<Record<string, string | number>>;

function begin(response: RpcResponse, status: number, headers: Fields): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

function write(response: RpcResponse, chunk: Uint8Array): boolean {
  return 'stream' in response ? response.write(chunk) : (response as NodeJS.WritableStream).write(chunk);
}

function end(response: RpcResponse, status: number, headers: Fields, body: Uint8Array = Buffer.alloc(0)): void {
  begin(response, status, headers);
  write(response, body);
  (response as NodeJS.WritableStream).end();
}
