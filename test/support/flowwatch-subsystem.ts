import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { type IncomingHttpHeaders, createServer as createHttp1 } from 'node:http';
import { type Http2Server, createServer as createHttp2 } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { type RpcRequest, type RpcResponse, rpcListener } from './flowwatch-subsystem-adapter.js';
import { SubsystemData, type SubsystemDataOptions } from './flowwatch-subsystem-data.js';
import { SubsystemServices, type ServicesOptions } from './flowwatch-subsystem-services.js';
import { LoopbackServer } from './loopback-server.js';

export interface FlowWatchSubsystemOptions extends SubsystemDataOptions, ServicesOptions {
  /** What its port speaks; both by default, as the Go servers do. */
  readonly protocols?: 'both' | 'http1' | 'http2';
  readonly port?: number;
  /** Forgets what it received, for benchmarks. */
  readonly forgetful?: boolean;
}

export interface ReceivedCall {
  /** As in the `.proto`: `GetRun`. */
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** A FlowWatch subsystem on a loopback port: Connect, gRPC and gRPC-Web over cleartext HTTP/2 and HTTP/1.1. */
export class FlowWatchSubsystem {
  readonly received: ReceivedCall[] = [];
  readonly data: SubsystemData;
  readonly services: SubsystemServices;
  /** Connections ever accepted. */
  accepted = 0;
  private readonly http2: Http2Server;
  private readonly server: LoopbackServer;
  private failure: ConnectError | undefined;
  private readonly held = new Map<string, Promise<void>>();
  private losesAnswerOf: string | undefined;

  constructor(private readonly options: FlowWatchSubsystemOptions) {
    this.data = new SubsystemData(options);
    this.services = new SubsystemServices(this.data, options);
    const listener = rpcListener((router) => this.services.register(router), [this.interceptor]);
    const answer = (request: RpcRequest, response: RpcResponse): void => {
      if (!options.forgetful) {
        this.received.push({ method: request.url?.split('/').at(-1) ?? '', headers: request.headers });
      }
      void listener(request, response);
    };
    this.http2 = createHttp2(answer);
    const http1 = createHttp1(answer);
    this.server = new LoopbackServer((socket) => {
      this.accepted += 1;
      socket.setNoDelay(true);
      if (options.protocols === 'http1') http1.emit('connection', socket);
      else if (options.protocols === 'http2') this.http2.emit('connection', socket);
      else byPreface(socket, this.http2, http1);
    });
    this.http2.on('sessionError', () => undefined);
  }

  async start(): Promise<this> {
    await this.server.start(this.options.port);
    return this;
  }

  async stop(): Promise<void> {
    this.services.endStreams();
    this.cut();
    await this.server.stop();
  }

  get port(): number {
    return this.server.port;
  }

  get endpoint(): string {
    return this.server.origin;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.server.sockets.size;
  }

  count(method: string): number {
    return this.received.filter((call) => call.method === method).length;
  }

  /** Every call fails so from now on; without a code, none does. */
  fail(code?: Code, message = 'it was told to fail'): void {
    this.failure = code === undefined ? undefined : new ConnectError(message, code);
  }

  failWith(error: ConnectError): void {
    this.failure = error;
  }

  /** Slow: calls of the method (`GetRun`; all: `*`) are answered only after the returned function was called. */
  hold(method = '*'): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.held.set(method, promise);
    return () => {
      if (this.held.get(method) === promise) this.held.delete(method);
      resolve();
    };
  }

  /** Breaks every connection, as a process that dies does. It goes on listening. */
  cut(): void {
    this.server.reset();
  }

  /** The next call of the method is carried out; its connection breaks before the answer. */
  loseAnswer(method: string): void {
    this.losesAnswerOf = method;
  }

  private readonly interceptor: Interceptor = (next) => async (request) => {
    await (this.held.get(request.method.name) ?? this.held.get('*'));
    if (this.failure) throw this.failure;
    const answer = await next(request);
    if (this.losesAnswerOf === request.method.name) {
      this.losesAnswerOf = undefined;
      this.cut();
    }
    return answer;
  };
}

/** Hands a connection to the server whose protocol its first bytes are. */
export function byPreface(socket: Socket, http2: Pick<Server, 'emit'>, http1: Pick<Server, 'emit'>): void {
  let read = Buffer.alloc(0);
  socket.on('data', function decide(chunk: Buffer) {
    read = Buffer.concat([read, chunk]);
    const seen = read.toString('latin1', 0, PREFACE.length);
    if (seen.length < PREFACE.length && PREFACE.startsWith(seen)) return;
    socket.off('data', decide).pause().unshift(read);
    (seen === PREFACE ? http2 : http1).emit('connection', socket);
    // HTTP/1.1 reads the stream and must be woken; HTTP/2 takes over the handle itself.
    if (seen !== PREFACE) socket.resume();
  });
}
