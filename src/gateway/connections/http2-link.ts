import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  connect,
  constants,
} from 'node:http2';
import type { Socket } from 'node:net';
import { DialError, type DialFailure } from '../../egress/index.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import { BodyCollector } from './body-collector.js';
import { CallFailure } from './call-failure.js';
import type { CallScope } from './call-scope.js';
import { ChunkQueue } from './chunk-queue.js';
import type { Link, WireAnswer, WireHead, WireRequest, WireStream } from './link.js';

const PING_EVERY_MS = 15_000;
const PING_ANSWER_MS = 10_000;
/** Without a call for so long it closes: the next call dials again. */
const IDLE_MS = 30_000;
const MAX_STREAMS = 100;
const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 4 * 1024 * 1024;

/** The peer answered, but not in HTTP/2. */
export class NotHttp2 extends Error {}

/** One HTTP/2 connection (RFC 9113) to an instance. */
export class Http2Link implements Link {
  wasUsed = false;
  private active = 0;
  private refusesNew = false;
  private lastTaken = Infinity;
  private timer: Timer | undefined;
  private lastCallAt: number;

  private constructor(
    private readonly session: ClientHttp2Session,
    private readonly clock: Clock,
    private readonly onGone: () => void,
  ) {
    this.lastCallAt = clock.monotonic();
    session.on('goaway', (_code: number, lastStreamId: number) => {
      this.refusesNew = true;
      this.lastTaken = lastStreamId;
    });
    session.on('close', () => {
      this.refusesNew = true;
      this.timer?.cancel();
      this.onGone();
    });
    // Its consequences are seen at the streams and by `close`; without a listener it would end the process.
    session.on('error', () => undefined);
    this.schedulePing();
  }

  /** Resolves with the peer's first settings. @throws NotHttp2, CallFailure */
  static open(socket: Socket, origin: string, timeoutMs: number, clock: Clock, onGone: () => void): Promise<Http2Link> {
    return new Promise((resolve, reject) => {
      const session = connect(origin, {
        createConnection: () => socket,
        settings: { enablePush: false, initialWindowSize: STREAM_WINDOW, maxHeaderListSize: 32 * 1024 },
        maxSessionMemory: 64,
        maxHeaderListPairs: 64,
      });
      let failure: Error = notOpened('cut', 'it closed the connection');
      const timer = clock.after(timeoutMs, () => {
        failure = notOpened('timeout', 'it accepts connections and does not answer');
        session.destroy();
      });
      const onError = (error: Error & { readonly code?: string }): void => {
        if (error.code === 'ERR_HTTP2_ERROR') failure = new NotHttp2('not HTTP/2', { cause: error });
      };
      const onClose = (): void => {
        timer.cancel();
        socket.destroy();
        reject(failure);
      };
      session.on('error', onError).once('close', onClose);
      session.once('remoteSettings', () => {
        timer.cancel();
        session.off('error', onError).off('close', onClose);
        session.once('close', () => socket.destroy());
        session.setLocalWindowSize(CONNECTION_WINDOW);
        resolve(new Http2Link(session, clock, onGone));
      });
    });
  }

  get isUsable(): boolean {
    return !this.refusesNew && !this.session.closed && !this.session.destroyed;
  }

  get hasRoom(): boolean {
    return this.active < Math.min(MAX_STREAMS, this.session.remoteSettings?.maxConcurrentStreams ?? MAX_STREAMS);
  }

  send(request: WireRequest, maxBytes: number, scope: CallScope): Promise<WireAnswer> {
    return new Promise((resolve, reject) => {
      const collector = new BodyCollector(maxBytes);
      let head: WireHead | undefined;
      let hasEnded = false;
      const stream = this.request(request, scope);
      const fail = (reason: Error): void => {
        reject(reason);
        collector.drop();
        cancel(stream);
      };
      stream.on('response', (headers) => {
        head = headOf(headers);
        const failure = collector.begin(head.status, headers['content-length']);
        if (failure) fail(failure);
      });
      stream.on('data', (chunk: Uint8Array) => {
        const failure = collector.add(chunk);
        if (failure) fail(failure);
      });
      // Of a stream that was reset without an error the end comes too, but only when it is closed.
      stream.once('end', () => (hasEnded = !stream.closed));
      stream.once('close', () => {
        if (head && hasEnded && isWhole(stream)) resolve({ ...head, body: collector.takeBody() });
        else reject(this.failureOf(stream));
        collector.drop();
      });
      scope.onEnd(fail);
    });
  }

  open(request: WireRequest, scope: CallScope): Promise<WireStream> {
    return new Promise((resolve, reject) => {
      const stream = this.request(request, scope);
      const chunks = new ChunkQueue({
        pause: () => void stream.pause(),
        resume: () => void stream.resume(),
        abandon: () => cancel(stream),
      });
      stream.on('response', (headers) => resolve({ ...headOf(headers), chunks }));
      stream.on('data', (chunk: Uint8Array) => chunks.push(chunk));
      stream.once('close', () => {
        const failure = isWhole(stream) ? undefined : this.failureOf(stream);
        chunks.end(failure);
        reject(failure ?? new CallFailure('cut', 'it ended the stream without an answer'));
      });
      scope.onEnd((reason) => {
        chunks.end(reason);
        reject(reason);
        cancel(stream);
      });
    });
  }

  retire(): void {
    this.refusesNew = true;
    this.session.close();
  }

  close(): void {
    this.refusesNew = true;
    this.session.destroy();
  }

  /** @throws CallFailure `not-reached` */
  private request({ path, headers, body }: WireRequest, scope: CallScope): ClientHttp2Stream {
    let stream: ClientHttp2Stream;
    try {
      stream = this.session.request({ ':method': 'POST', ':path': path, ...headers });
    } catch (error) {
      this.refusesNew = true;
      throw new CallFailure('not-reached', 'the connection takes no further call', { cause: error });
    }
    scope.isSent = true;
    this.wasUsed = true;
    this.active += 1;
    this.lastCallAt = this.clock.monotonic();
    stream.once('close', () => {
      this.active -= 1;
      this.lastCallAt = this.clock.monotonic();
    });
    // Told by `close`, which follows; without a listener it would end the process.
    stream.on('error', () => undefined);
    stream.end(body);
    return stream;
  }

  private failureOf(stream: ClientHttp2Stream): CallFailure {
    // It goes on refusing on this connection: servers of Node do once answers that were broken off have filled their memory.
    if (stream.rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM) this.retire();
    const isRefused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || (stream.id ?? Infinity) > this.lastTaken;
    return isRefused
      ? new CallFailure('not-reached', 'it takes no further call')
      : new CallFailure('cut', 'the connection to it broke');
  }

  /** A half-open connection is found by what does not come back. */
  private schedulePing(): void {
    this.timer = this.clock.after(PING_EVERY_MS, () => this.ping(), { unref: true });
  }

  private ping(): void {
    if (this.active === 0 && this.clock.monotonic() - this.lastCallAt >= IDLE_MS) {
      this.retire();
      return;
    }
    this.timer = this.clock.after(PING_ANSWER_MS, () => this.close(), { unref: true });
    if (this.session.destroyed) return;
    this.session.ping((error) => {
      this.timer?.cancel();
      if (!error && !this.session.destroyed) this.schedulePing();
    });
  }
}

function notOpened(failure: DialFailure, message: string): CallFailure {
  return new CallFailure('not-reached', message, { cause: new DialError(failure, message) });
}

function headOf(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): WireHead {
  return {
    status: headers[':status'] ?? 0,
    contentType: headers['content-type'] ?? '',
    encoding: headers['content-encoding'] ?? headers['connect-content-encoding']?.toString() ?? '',
  };
}

/** Node ends the readable side of a stream that was cut as if the peer had ended it. */
function isWhole(stream: ClientHttp2Stream): boolean {
  return stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted && stream.readableEnded;
}

/** Tells the subsystem that nobody waits any more. */
function cancel(stream: ClientHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL);
  stream.destroy();
}
