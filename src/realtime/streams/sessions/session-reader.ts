import type { Principal } from '../../../auth/principal.js';
import type { ChannelEvent } from '../channels/channel-event.js';
import type { ChannelSnapshot } from '../channels/channel-snapshot.js';
import type { SnapshotRequest } from '../channels/snapshot-reads.js';
import type { ChannelReader, StreamChannel } from '../channels/stream-channel.js';

/** The session behind a reader. */
export interface ReadingSession {
  readonly principal: Principal;
  /** Sequence up to which it has everything. */
  readonly cursor: number;
  pump(): void;
  /** Is it too far behind? */
  review(): void;
  snapshotReady(snapshot: ChannelSnapshot): void;
  snapshotFailed(): void;
}

/** A session's part in one channel: from where on it needs events, and whether anything follows at all. */
export class SessionReader implements ChannelReader {
  /**
   * Begin of the read whose snapshot it has, or where it resumed: it needs the events after it that no snapshot of its
   * own showed. Infinite until then.
   */
  since = Number.POSITIVE_INFINITY;
  /**
   * Begin of the last read of which it has what that showed. For one that resumed this is not its place: a read for
   * others may have begun before that and still be under way, and what it will show was never given to this reader.
   */
  private shownBy = Number.NEGATIVE_INFINITY;
  /** It was given the end. */
  isComplete = false;
  /** What stood behind the key is gone. */
  private isRetired = false;
  private request: SnapshotRequest | undefined;

  constructor(
    readonly channel: StreamChannel,
    private readonly session: ReadingSession,
  ) {}

  get principal(): Principal {
    return this.session.principal;
  }

  /** Nothing follows. */
  get isOver(): boolean {
    return this.isComplete || this.isRetired;
  }

  get neededAfter(): number {
    return Math.max(this.session.cursor, this.since);
  }

  /** Of the events after `since`: whether no snapshot that it was given shows it. */
  needs(event: ChannelEvent): boolean {
    return event.coveredBy > this.shownBy;
  }

  /** The first event after the sequence that it needs, be it superseded or not. */
  next(sequence: number): ChannelEvent | undefined {
    const { log } = this.channel;
    let event = log.next(Math.max(sequence, this.since));
    while (event && !this.needs(event)) event = log.next(event.sequence);
    return event;
  }

  /** Goes on after the sequence, up to which the client has everything. */
  resume(sequence: number): void {
    this.since = sequence;
    // With any later read that showed something ahead of its change, the channel would not have let it resume.
    this.shownBy = this.channel.versions.firstRead;
    this.isComplete = this.channel.isFinalAt(sequence);
  }

  requestSnapshot(): void {
    this.since = Number.POSITIVE_INFINITY;
    this.request = this.channel.snapshots.request(this);
  }

  /** Waits for a snapshot no more, and needs nothing. */
  forsake(): void {
    if (this.request) this.request.cancelled = true;
    this.since = Number.POSITIVE_INFINITY;
  }

  snapshotBegins(read: number): void {
    this.since = read;
    this.shownBy = read;
    // It is registered as slow already; from now on there is something that it needs.
    this.channel.log.slowDown(this);
  }

  snapshotReady(snapshot: ChannelSnapshot): void {
    this.session.snapshotReady(snapshot);
  }

  snapshotFailed(): void {
    this.session.snapshotFailed();
  }

  pump(): void {
    this.session.pump();
  }

  review(): void {
    this.session.review();
  }

  finish(): void {
    this.isRetired = true;
    this.session.pump();
  }
}
