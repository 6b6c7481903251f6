import {
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
  constants,
  createServer,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../runtime/clock.js';

/** Rapid resets, settings and ping floods are bounded by Node's own limits: they end the session. */
const LIMITS = {
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  maxHeaderListPairs: 128,
  streamResetBurst: 500,
  streamResetRate: 33,
  settings: { maxConcurrentStreams: 100, maxHeaderListSize: 16_384, enablePush: false },
};

export interface Http2Options {
  readonly clock: Clock;
  /** How often a session is looked at: one without streams since the last time is closed, any other has to answer a ping. */
  readonly checkMs: number;
  readonly pingTimeoutMs: number;
  /** A request has to be through by then, unless it may go on for ever. */
  readonly requestTimeoutMs: number;
  readonly isOpenEnded: (request: Http2ServerRequest) => boolean;
  readonly handle: (request: Http2ServerRequest, response: Http2ServerResponse) => void;
}

/** HTTP/2 connections, accepted by whoever listens. */
export class Http2Connections {
  private readonly server: Http2Server;
  private readonly open = new Set<ServerHttp2Session>();
  private readonly sockets = new Set<Duplex>();
  private isClosing = false;

  constructor(private readonly options: Http2Options) {
    this.server = createServer(LIMITS, (request, response) => this.answer(request, response));
  }

  get sessions(): number {
    return this.open.size;
  }

  accept(socket: Duplex): void {
    // Node's listener for HTTP/1.1 leaves a connection open that its client has ended; in HTTP/2 that ends every stream.
    socket.allowHalfOpen = false;
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    const admit = (session: ServerHttp2Session): void => this.admit(session, socket);
    this.server.once('session', admit);
    this.server.emit('connection', socket);
    this.server.off('session', admit);
  }

  /** Tells every client to open no more streams; a session ends with its last one. */
  close(): void {
    this.isClosing = true;
    for (const session of this.open) session.close();
  }

  cut(): void {
    for (const session of this.open) session.destroy();
    // A session that was asked to close waits for its client to close the connection, destroyed or not.
    for (const socket of this.sockets) socket.destroy();
  }

  private admit(session: ServerHttp2Session, socket: Duplex): void {
    const { clock, checkMs, pingTimeoutMs } = this.options;
    let open = 0;
    let isUsed = true;
    let check: Timer;
    const look = (): void => {
      if (session.closed || session.destroyed) return;
      if (!isUsed) {
        session.close();
        check = clock.after(pingTimeoutMs, () => socket.destroy(), { unref: true });
        return;
      }
      isUsed = open > 0;
      this.requireLife(session, socket);
      check = clock.after(checkMs, look, { unref: true });
    };
    check = clock.after(checkMs, look, { unref: true });
    this.open.add(session);
    session.once('close', () => {
      check.cancel();
      this.open.delete(session);
    });
    // It ends by itself; what was wrong with it is the client's affair.
    session.on('error', () => undefined);
    session.on('stream', (stream) => {
      open += 1;
      isUsed = true;
      stream.once('close', () => (open -= 1));
    });
    if (this.isClosing) session.close();
  }

  /** A client that is gone without a word takes its streams with it. */
  private requireLife(session: ServerHttp2Session, socket: Duplex): void {
    const { clock, pingTimeoutMs } = this.options;
    const gone = clock.after(pingTimeoutMs, () => socket.destroy(), { unref: true });
    if (!session.ping(() => gone.cancel())) gone.cancel();
  }

  private answer(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const { clock, requestTimeoutMs, isOpenEnded, handle } = this.options;
    if (!request.stream.endAfterHeaders && !isOpenEnded(request)) {
      const late = clock.after(
        requestTimeoutMs,
        () => {
          if (!request.complete) request.stream.close(constants.NGHTTP2_CANCEL);
        },
        { unref: true },
      );
      request.once('end', () => late.cancel());
      request.once('close', () => late.cancel());
    }
    handle(request, response);
  }
}
