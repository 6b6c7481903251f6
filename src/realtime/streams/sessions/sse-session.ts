import type { Writable } from 'node:stream';
import type { Principal } from '../../../auth/principal.js';
import type { ChannelSnapshot } from '../channels/channel-snapshot.js';
import { SessionBacklog } from './session-backlog.js';
import type { SessionContext, SessionOptions } from './session-context.js';
import { SessionJoin } from './session-join.js';
import { SessionLag } from './session-lag.js';
import { SessionOutput } from './session-output.js';
import { SessionReader } from './session-reader.js';
import { SseConnection } from '../wire/sse-connection.js';
import type { StreamChannel } from '../channels/stream-channel.js';

/**
 * One client, on one or many channels. It holds no events: how far it came is all that it knows.
 *
 * Joining: the snapshot of each channel is awaited and written as fast as the client takes it. Live: what its channels
 * have after its place is written once a turn while the client takes it. One that was slow gets the newest states only
 * if the events are too many, and if these are too many it is lagging: it is told how many events it missed and joins
 * anew. What came during its snapshot, and what it resumes from, is outside these limits.
 */
export class SseSession {
  readonly readers: readonly SessionReader[];
  private readonly connection: SseConnection;
  private readonly output: SessionOutput;
  private readonly backlog: SessionBacklog;
  private readonly joining: SessionJoin;
  private readonly lag: SessionLag;
  private readonly endsAtMs: number;
  private place = 0;
  private state: 'joining' | 'live' | 'lagging' = 'live';
  /** Sequence before which no id may be resumed from: some channel's snapshot shows more than that. */
  private resumableFrom = 0;
  /** Events up to this sequence are outside the limits of a slow client. */
  private exemptUpTo = 0;
  private isCoalescing = false;
  private isClosed = false;

  constructor(
    response: Writable,
    readonly principal: Principal,
    channels: readonly StreamChannel[],
    private readonly options: SessionOptions,
    private readonly context: SessionContext,
  ) {
    this.endsAtMs = context.now() + options.maxAgeMs;
    this.readers = channels.map((channel) => new SessionReader(channel, this));
    this.backlog = new SessionBacklog(this.readers, context.limits, context.encoder);
    this.joining = new SessionJoin(this.readers);
    this.lag = new SessionLag(this, context);
    this.connection = new SseConnection(
      response,
      context.now,
      () => this.drained(),
      () => this.close(),
    );
    this.output = new SessionOutput(this.connection, context.totals, options.onStarted);
  }

  /** Sequence up to which the client has everything. */
  get cursor(): number {
    return this.place;
  }

  get queuedEvents(): number {
    return this.state === 'live' && this.lag.isSlow ? this.backlog.count(this.place) : 0;
  }

  /** Bytes that are kept because of it, be it alone or with others. */
  get heldBytes(): number {
    return this.joining.heldBytes + this.lag.heldBytes;
  }

  /** Begins with the snapshot of each channel. */
  join(): void {
    this.state = 'joining';
    this.place = 0;
    this.lag.slowDown();
    this.joining.begin();
  }

  /** Goes on after the sequence, up to which the client has everything of all channels. */
  resume(sequence: number): void {
    this.place = sequence;
    this.exemptUpTo = this.context.sequence();
    for (const reader of this.readers) reader.resume(sequence);
    this.pump();
  }

  /** Writes what there is, while the client takes it. Called when there may be more; never throws. */
  pump(): void {
    if (this.connection.isOver) return;
    try {
      this.advance();
    } catch (error) {
      this.context.onError(error);
      this.destroy();
    }
  }

  snapshotReady(snapshot: ChannelSnapshot): void {
    if (this.connection.isOver) return;
    this.joining.take(snapshot);
    this.pump();
  }

  /** The client connects again and gets its snapshot then. */
  snapshotFailed(): void {
    this.end();
  }

  /** One that is slow gets the newest states only if too much waits for it; if these are too many, it is given up. */
  review(): void {
    if (!this.lag.isSlow || this.state !== 'live') return;
    const catchUp = this.backlog.catchUp(Math.max(this.place, this.exemptUpTo));
    this.isCoalescing = catchUp === 'newest states';
    if (catchUp === 'snapshot') this.giveUp();
  }

  /** Lets go of everything that is held for it: it will be told, and begin anew. */
  giveUp(): void {
    this.lag.miss(this.backlog.count(this.place));
    this.state = 'lagging';
    this.place = this.context.sequence();
    this.letGo();
    if (this.connection.writable) this.context.later(this);
  }

  /** Cuts a client that takes nothing, ends an old stream, keeps an idle one alive. Called about once a second. */
  tick(heartbeat: () => Buffer): void {
    if (this.connection.isStalled(this.context.stallMs)) {
      this.context.totals.stalled += 1;
      this.destroy();
      return;
    }
    if (this.context.now() >= this.endsAtMs) this.end();
    if (!this.connection.writable || this.connection.idleMs < this.context.keepAliveMs) return;
    // The heartbeat carries the newest id, so it may only go to a client that has everything up to it.
    if (this.state === 'live' && this.backlog.isEmpty(this.place)) {
      this.place = this.context.sequence();
      this.output.event(heartbeat());
    } else this.output.keepAlive();
  }

  /** Ends the stream cleanly after what the client takes, with a last event where given, made for its id. */
  end(last?: (position: number) => Buffer): void {
    if (this.connection.isOver) return;
    if (this.state === 'live') this.writeEvents();
    if (last) this.output.event(last(this.position));
    this.connection.end();
  }

  /** Cuts the connection; it is gone when this returns. */
  destroy(): void {
    this.connection.destroy();
    this.close();
  }

  /** What the client may resume from; 0 while only a snapshot can bring it to a state. */
  private get position(): number {
    return this.state === 'live' && this.place >= this.resumableFrom ? this.place : 0;
  }

  private drained(): void {
    this.review();
    this.pump();
  }

  private advance(): void {
    if (!this.connection.writable) {
      if (this.state !== 'lagging') this.lag.slowDown();
      return;
    }
    if (this.state === 'lagging') {
      this.tellLag();
      this.join();
    }
    if (this.state === 'joining') this.writeSnapshots();
    if (this.state === 'live') this.writeEvents();
    if (this.state === 'live' && this.readers.every(({ isOver }) => isOver)) this.end();
  }

  private writeSnapshots(): void {
    while (this.state === 'joining' && this.connection.writable) {
      // Only with the very last part has the client a state that it could resume from.
      if (this.joining.isAtEnd) this.goLive();
      const part = this.joining.part(this.position);
      if (!part) return;
      this.output.event(part);
      if (this.joining.advance()) this.context.totals.snapshots += 1;
    }
  }

  private goLive(): void {
    const reads = this.readers.map(({ since }) => since);
    this.state = 'live';
    this.isCoalescing = false;
    this.place = Math.min(...reads);
    this.resumableFrom = Math.max(...reads);
    this.exemptUpTo = this.context.sequence();
    if (this.backlog.isEmpty(this.place)) this.place = this.exemptUpTo;
  }

  private writeEvents(): void {
    while (this.connection.writable) {
      const batch = this.backlog.batch(this.place, this.isCoalescing, this.resumableFrom);
      if (!batch) {
        this.caughtUp();
        return;
      }
      this.place = batch.upTo;
      this.context.totals.events += batch.count;
      this.context.totals.coalesced += batch.coalesced;
      this.output.event(batch.bytes);
    }
    if (this.backlog.isEmpty(this.place)) this.caughtUp();
    else this.lag.slowDown();
  }

  private caughtUp(): void {
    this.place = this.context.sequence();
    this.isCoalescing = false;
    for (const reader of this.readers) reader.isComplete ||= reader.channel.hasEndedBy(this.place);
    this.lag.quicken();
  }

  private tellLag(): void {
    // Since it was given up.
    this.lag.missAfter(this.place);
    const notice = this.lag.notice();
    if (notice) this.output.event(notice);
  }

  private letGo(): void {
    this.joining.letGo();
    for (const reader of this.readers) reader.forsake();
    this.lag.quicken();
  }

  private close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.letGo();
    this.options.onClosed();
  }
}
