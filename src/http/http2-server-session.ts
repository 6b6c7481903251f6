import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../runtime/clock.js';

export interface SessionTimes {
  readonly clock: Clock;
  /** How often a session is looked at: one without streams since the last time is closed, a silent one has to answer a ping. */
  readonly checkMs: number;
  readonly pingTimeoutMs: number;
}

/** A connection that is to end is cut when so long everything on it has waited for its client. */
export const DRAIN_GRACE_MS = 3_000;
const DRAIN_LOOK_MS = 250;

/** The life of one HTTP/2 connection: closed when it is not used, cut when its client is gone or does not let it end. */
export class Http2ServerSession {
  private readonly streams = new Set<ServerHttp2Stream>();
  private isUsed = true;
  /** Bytes of the client at the last look. */
  private heard = 0;
  private timer: Timer;

  constructor(
    private readonly session: ServerHttp2Session,
    private readonly socket: Socket,
    private readonly times: SessionTimes,
  ) {
    this.timer = this.after(times.checkMs, () => this.look());
    // The session may be gone long before its client has closed the connection.
    socket.once('close', () => this.timer.cancel());
    // It ends by itself; what was wrong with it is the client's affair.
    session.on('error', () => undefined);
    session.on('stream', (stream) => {
      this.isUsed = true;
      this.streams.add(stream);
      stream.once('close', () => this.streams.delete(stream));
    });
  }

  /** Tells the client to open no more streams, lets the open ones end, and sees to it that they do. */
  drain(): void {
    this.session.close();
    this.timer.cancel();
    let waitedMs = 0;
    const look = (): void => {
      waitedMs = [...this.streams].every(waitsForClient) ? waitedMs + DRAIN_LOOK_MS : 0;
      if (waitedMs >= DRAIN_GRACE_MS) this.cut();
      else this.timer = this.after(DRAIN_LOOK_MS, look);
    };
    this.timer = this.after(DRAIN_LOOK_MS, look);
  }

  cut(): void {
    this.session.destroy();
    // A session that was asked to close waits for its client to close the connection, destroyed or not.
    this.socket.destroy();
  }

  private look(): void {
    const { session, socket } = this;
    if (session.destroyed || (!this.isUsed && this.streams.size === 0)) {
      this.drain();
      return;
    }
    this.isUsed = this.streams.size > 0;
    if (socket.bytesRead === this.heard) this.requireLife();
    this.heard = socket.bytesRead;
    this.timer = this.after(this.times.checkMs, () => this.look());
  }

  /** A client that is gone without a word takes its streams with it. */
  private requireLife(): void {
    const { session, socket } = this;
    const gone = this.after(this.times.pingTimeoutMs, () => socket.destroy());
    const isAsked = session.ping(() => {
      gone.cancel();
      // An answer is no sign of life that nobody asked for.
      this.heard = socket.bytesRead;
    });
    if (!isAsked) gone.cancel();
  }

  private after(delayMs: number, callback: () => void): Timer {
    return this.times.clock.after(delayMs, callback, { unref: true });
  }
}

/** It has its answer and does not take it, or owes us the rest of its request. */
function waitsForClient(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.writableEnded || stream.writableLength > 0 || stream.state.remoteClose !== 1;
}
