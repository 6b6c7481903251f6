import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { PassThrough, type Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../runtime/clock.js';
import { type ApiConnection, ConnectionCut, type Exchange, type ExchangeRequest } from './api-connection.js';

const PING_EVERY_MS = 25_000;
const PING_ANSWER_MS = 15_000;
const STREAM_WINDOW = 4 * 1024 * 1024;
const CONNECTION_WINDOW = 16 * 1024 * 1024;
/** The default of RFC 9113 is "no limit": API servers say 100. */
const DEFAULT_CAPACITY = 100;

/**
 * node:http2 and not undici's client, because three promises need what only the session gives: a PING with a deadline of
 * its own, our own count of streams on each connection, and a cut body told apart from an ended one.
 */
export class Http2Connection implements ApiConnection {
  readonly gone: Promise<void>;
  private timer: Timer | undefined;
  private lastError: Error | undefined;
  private refusesNew = false;

  private constructor(
    private readonly session: ClientHttp2Session,
    private readonly socket: TLSSocket,
    private readonly clock: Clock,
  ) {
    this.gone = new Promise((resolve) => {
      if (socket.closed) resolve();
      else socket.once('close', () => resolve());
    });
    session.on('error', (error: Error) => (this.lastError ??= error));
    session.on('goaway', () => (this.refusesNew = true));
    session.on('close', () => {
      this.refusesNew = true;
      this.timer?.cancel();
      socket.destroy();
    });
    this.schedulePing();
  }

  /** Over a socket that has negotiated `h2`. Resolves when the server's settings are there. */
  static open(socket: TLSSocket, origin: string, clock: Clock, signal: AbortSignal): Promise<Http2Connection> {
    return new Promise((resolve, reject) => {
      const session = connect(origin, {
        createConnection: () => socket,
        settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
        // In MB; the default of 10 refuses streams while many windows are full.
        maxSessionMemory: 1_000,
      });
      const connection = new Http2Connection(session, socket, clock);
      const settle = (error?: Error): void => {
        session.off('remoteSettings', onSettings).off('close', onClose);
        signal.removeEventListener('abort', onAbort);
        if (!error) {
          resolve(connection);
          return;
        }
        session.destroy();
        reject(error);
      };
      const onSettings = (): void => {
        session.setLocalWindowSize(CONNECTION_WINDOW);
        settle();
      };
      const onClose = (): void => settle(connection.cut('the connection was closed before HTTP/2 began', true));
      const onAbort = (): void => settle(signal.reason as Error);
      session.once('remoteSettings', onSettings).once('close', onClose);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  get capacity(): number {
    return this.session.remoteSettings?.maxConcurrentStreams ?? DEFAULT_CAPACITY;
  }

  get isUsable(): boolean {
    return !this.refusesNew && !this.session.closed && !this.session.destroyed;
  }

  async send(request: ExchangeRequest): Promise<Exchange> {
    request.signal.throwIfAborted();
    const stream = this.openStream(request);
    const { signal } = request;
    const onAbort = (): void => {
      stream.close(constants.NGHTTP2_CANCEL);
      stream.destroy(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    stream.once('close', () => signal.removeEventListener('abort', onAbort));
    // A failure after the head is the reader's to see; without a listener it would end the process.
    stream.on('error', () => undefined);
    return this.head(stream, signal);
  }

  async close(): Promise<void> {
    this.refusesNew = true;
    this.session.destroy();
    this.socket.destroy();
    await this.gone;
  }

  private openStream(request: ExchangeRequest): ClientHttp2Stream {
    try {
      const stream = this.session.request(
        { ...request.headers, ':method': request.method, ':path': request.path },
        { endStream: request.body === undefined },
      );
      if (request.body !== undefined) stream.end(request.body);
      return stream;
    } catch (error) {
      this.refusesNew = true;
      throw this.cut('the connection takes no further request', true, error);
    }
  }

  private head(stream: ClientHttp2Stream, signal: AbortSignal): Promise<Exchange> {
    return new Promise((resolve, reject) => {
      stream.once('response', (headers) => {
        resolve({
          status: Number(headers[':status']),
          headers,
          body: bodyOf(stream),
          // Node ends the readable side of a cut stream as if the server had ended it.
          isComplete: () =>
            this.lastError === undefined && !stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR,
        });
      });
      stream.once('close', () => {
        if (signal.aborted) reject(signal.reason as Error);
        else
          reject(
            this.cut('the connection broke before the answer', stream.rstCode === constants.NGHTTP2_REFUSED_STREAM),
          );
      });
    });
  }

  /** The TCP keep-alive of a middlebox may answer for a server that is gone: only a PING proves it is there. */
  private schedulePing(): void {
    this.timer = this.clock.after(PING_EVERY_MS, () => this.ping(), { unref: true });
  }

  private ping(): void {
    this.timer = this.clock.after(
      PING_ANSWER_MS,
      () => {
        this.lastError = new Error(`no answer to a PING within ${PING_ANSWER_MS} ms`);
        this.session.destroy(this.lastError, constants.NGHTTP2_CANCEL);
        this.socket.destroy();
      },
      { unref: true },
    );
    if (this.session.destroyed) return;
    this.session.ping((error) => {
      this.timer?.cancel();
      if (!error && !this.session.destroyed) this.schedulePing();
    });
  }

  private cut(message: string, unprocessed: boolean, cause: unknown = this.lastError): ConnectionCut {
    const why = cause instanceof Error ? ` (${cause.message})` : '';
    return new ConnectionCut(`${message}${why}`, unprocessed, cause);
  }
}

/**
 * The answer as a stream of its own. An HTTP/2 stream calls itself `closed` once its last frame is there, whether it was
 * read or not, and `for await` and `pipeline` take what is closed before they begin for broken off: seen on Node 24 when
 * the whole answer comes in one piece.
 */
function bodyOf(stream: ClientHttp2Stream): Readable {
  const body = new PassThrough();
  // A failure is the reader's to see; without a listener it would end the process.
  body.on('error', () => undefined);
  body.once('close', () => stream.destroy());
  stream.once('error', (error) => body.destroy(error));
  stream.once('close', () => {
    if (!stream.readableEnded) body.destroy(new ConnectionCut('the connection broke within the answer', false));
  });
  return stream.pipe(body);
}
