import {
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  constants,
  createServer,
} from 'node:http2';
import type { Socket } from 'node:net';
import { endWhenAnswered } from './answered-stream.js';
import { Http2ServerSession, type SessionTimes } from './http2-server-session.js';
import { takeOver } from './take-over.js';

/** Rapid resets, settings and ping floods are bounded by Node's own limits: they end the session. */
const LIMITS = {
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  maxHeaderListPairs: 128,
  streamResetBurst: 500,
  streamResetRate: 33,
  settings: { maxConcurrentStreams: 100, maxHeaderListSize: 16_384, enablePush: false },
};

export interface Http2Options extends SessionTimes {
  /** A request has to be through by then, unless it may go on for ever. */
  readonly requestTimeoutMs: number;
  readonly isOpenEnded: (request: Http2ServerRequest) => boolean;
  /** Asked first of each stream: true if it is answered as what it is. Then its request may go on for ever. */
  readonly take: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;
  readonly handle: (request: Http2ServerRequest, response: Http2ServerResponse) => void;
}

/** HTTP/2 connections, accepted by whoever listens. */
export class Http2Connections {
  private readonly server: Http2Server;
  /** Until the connection is closed, which a session may be long before. */
  private readonly open = new Set<Http2ServerSession>();
  private isClosing = false;

  constructor(private readonly options: Http2Options) {
    this.server = createServer(LIMITS, (request, response) => this.answer(request, response));
    type Given = [stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...more: unknown[]];
    const makeRequest = takeOver(this.server, 'stream', (...given: Given) => {
      const [stream, headers] = given;
      if (!stream.endAfterHeaders) endWhenAnswered(stream, options.clock);
      if (!options.take(stream, headers)) makeRequest(...given);
    });
  }

  get connections(): number {
    return this.open.size;
  }

  accept(socket: Socket): void {
    // Node's listener for HTTP/1.1 leaves a connection open that its client has ended; in HTTP/2 that ends every stream.
    socket.allowHalfOpen = false;
    const admit = (session: ServerHttp2Session): void => this.admit(session, socket);
    this.server.once('session', admit);
    this.server.emit('connection', socket);
    this.server.off('session', admit);
  }

  /** Tells every client to open no more streams; a connection ends with its last one, or when its client is too slow. */
  close(): void {
    this.isClosing = true;
    for (const session of this.open) session.drain();
  }

  cut(): void {
    for (const session of this.open) session.cut();
  }

  private admit(session: ServerHttp2Session, socket: Socket): void {
    const admitted = new Http2ServerSession(session, socket, this.options);
    this.open.add(admitted);
    socket.once('close', () => this.open.delete(admitted));
    if (this.isClosing) admitted.drain();
  }

  private answer(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const { requestTimeoutMs, isOpenEnded, handle } = this.options;
    if (!request.stream.endAfterHeaders && !isOpenEnded(request)) this.limit(request, requestTimeoutMs);
    handle(request, response);
  }

  private limit(request: Http2ServerRequest, timeoutMs: number): void {
    const late = (): void => {
      if (!request.complete) request.stream.close(constants.NGHTTP2_CANCEL);
    };
    const timer = this.options.clock.after(timeoutMs, late, { unref: true });
    request.once('end', () => timer.cancel());
    request.once('close', () => timer.cancel());
  }
}
