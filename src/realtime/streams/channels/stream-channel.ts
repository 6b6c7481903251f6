import type { ByteBudget } from './byte-budget.js';
import type { ChannelEvent } from './channel-event.js';
import { type BacklogLimits, ChannelLog } from './channel-log.js';
import { EntityVersions } from './entity-versions.js';
import { type SnapshotReader, SnapshotReads, type SnapshotReadsContext } from './snapshot-reads.js';
import { type StreamItem, isFinal } from '../stream-topic.js';
import type { ResolvedTopic } from '../stream-topics.js';

/** The way from the store over the bus to the streams takes milliseconds; this is long after any disturbance. */
const UNDERWAY_MS = 300_000;

export interface ChannelContext extends SnapshotReadsContext {
  readonly budget: ByteBudget;
  /** What may wait for one slow client. */
  readonly limits: BacklogLimits;
}

/** A session's part in one channel. */
export interface ChannelReader extends SnapshotReader {
  /** Writes what there is of it. */
  pump(): void;
  /** Nothing follows of it. */
  finish(): void;
}

/**
 * A stream key as one tenant sees it, or as those see it who belong to all: the clients that read it, its events from
 * which they read and resume, and the snapshots that they share.
 */
export class StreamChannel {
  readonly readers = new Set<ChannelReader>();
  readonly log: ChannelLog;
  readonly versions: EntityVersions;
  readonly snapshots: SnapshotReads;
  /** Sequence of the event after which nothing follows under its key. */
  private endedAt = Number.POSITIVE_INFINITY;
  /** Whoever has everything up to it has the end, be it from that event or from a snapshot before it. */
  private finalSince = Number.POSITIVE_INFINITY;
  /** Keeps what is still to be written to readers that keep pace. */
  private readonly flushing = { neededAfter: Number.POSITIVE_INFINITY, review: (): void => undefined };
  private dirtyAfter: number | undefined;

  constructor(
    readonly topic: ResolvedTopic,
    /** A tenant, or all of them. */
    readonly tenantId: string,
    private readonly context: ChannelContext,
  ) {
    this.log = new ChannelLog(context.budget);
    this.versions = new EntityVersions(UNDERWAY_MS, () => context.clock.monotonic());
    this.snapshots = new SnapshotReads(topic, context, (read, items) => this.observe(read, items));
  }

  get streamKey(): string {
    return this.topic.streamKey;
  }

  /** Returns whether a flush is due that was not before. */
  append(event: ChannelEvent): boolean {
    const isDue = this.dirtyAfter === undefined && this.readers.size > 0;
    if (isDue) {
      this.dirtyAfter = event.sequence - 1;
      this.flushing.neededAfter = Math.min(this.flushing.neededAfter, this.dirtyAfter);
      this.log.slowDown(this.flushing);
    }
    this.log.append(event);
    if (event.final) {
      this.endedAt = event.sequence;
      this.finalSince = Math.min(this.finalSince, event.sequence);
    }
    return isDue;
  }

  /** Writes what is new to the readers, one for each step. */
  *flush(): Generator<void> {
    this.dirtyAfter = undefined;
    for (const reader of this.readers) {
      reader.pump();
      yield;
    }
    // What was published meanwhile waits for its own flush.
    this.flushing.neededAfter = this.dirtyAfter ?? Number.POSITIVE_INFINITY;
    if (this.dirtyAfter === undefined) this.log.quicken(this.flushing);
    this.log.review(this.context.limits);
  }

  /**
   * How many events follow for one that came as far as the sequence, and has all of the channel up to it; `undefined`
   * if that cannot be told: too long ago, or it may or may not have been given a snapshot that shows one of them.
   */
  countAfter(sequence: number): number | undefined {
    const { firstRead } = this.versions;
    if (sequence < firstRead || sequence < this.log.releasedUpTo) return undefined;
    if (this.versions.isOvergrown || this.versions.isUnsureAt(sequence)) return undefined;
    let count = 0;
    for (const { coveredBy } of this.log.after(sequence)) {
      if (coveredBy > sequence) count += 1;
      else if (coveredBy !== firstRead) return undefined;
    }
    return count;
  }

  /** Whether a reader that was given each event up to the sequence was given the last one. */
  hasEndedBy(sequence: number): boolean {
    return this.endedAt <= sequence;
  }

  /** Whether one that resumes from the sequence, with `countAfter` 0, has the end of the channel. */
  isFinalAt(sequence: number): boolean {
    return this.finalSince <= sequence;
  }

  private observe(read: number, items: readonly StreamItem[]): void {
    this.log.cover(read, new Map(items.map(({ entity, version }) => [entity, version])));
    this.versions.observe(read, items);
    if (isFinal(items)) this.finalSince = Math.min(this.finalSince, read);
  }
}
