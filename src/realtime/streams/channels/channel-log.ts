import type { ByteBudget } from './byte-budget.js';
import { BATCH_BYTES, type ChannelEvent, type EventBatch, type EventKeeper, NOT_COVERED } from './channel-event.js';
import { Deque } from './deque.js';
import { FullBatches } from './full-batches.js';

/** Shared by all channels, so that it is bounded for the process. */
const fullBatches = new FullBatches();

/** A reader that does not get its events at once: what it still needs must stay. */
export interface SlowReader {
  /** It needs the events after this sequence. */
  readonly neededAfter: number;
  /** Much is kept in the channel: is this reader too far behind? */
  review(): void;
}

export interface BacklogLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

/**
 * The events of one channel that are still there: those of the replay ring, and beyond them the newest of each entity
 * that a slow reader needs. Read by sequence; a reader holds nothing but how far it came.
 */
export class ChannelLog implements EventKeeper {
  /** In the replay ring. */
  private readonly recent = new Deque<ChannelEvent>();
  /** Out of the ring, but needed. */
  private held: ChannelEvent[] = [];
  private readonly newest = new Map<string, ChannelEvent>();
  private readonly slow = new Set<SlowReader>();
  /** At most what the slowest reader needs; exact after `recount`. */
  private neededAfter = Number.POSITIVE_INFINITY;
  private neededBytes = 0;
  private neededEvents = 0;
  /** What readers that keep pace are given in the same turn. */
  private batch: { readonly first: ChannelEvent; readonly value: EventBatch | undefined } | undefined;
  private newestSequence = 0;
  private released = 0;

  /** `budget` is told what slow readers need, each event once however many they are. */
  constructor(private readonly budget: ByteBudget) {}

  /** Sequence of the newest event; 0 before the first. */
  get lastSequence(): number {
    return this.newestSequence;
  }

  /** Sequence up to which events may be missing. */
  get releasedUpTo(): number {
    return this.released;
  }

  append(event: ChannelEvent): void {
    const before = this.newest.get(event.entity);
    this.newest.set(event.entity, event);
    this.recent.push(event);
    this.newestSequence = event.sequence;
    if (before) this.supersede(before);
    if (event.sequence > this.neededAfter) this.need(1, event.frame.length);
  }

  release(event: ChannelEvent): void {
    this.recent.shift();
    this.released = event.sequence;
    if (!event.superseded && event.sequence > this.neededAfter) this.held.push(event);
    else if (this.newest.get(event.entity) === event) this.newest.delete(event.entity);
  }

  /** Notes for the events after `read` which of them the snapshot shows that was read from then on. */
  cover(read: number, shown: ReadonlyMap<string, number>): void {
    for (const event of this.after(read)) {
      const isShown = event.version <= (shown.get(event.entity) ?? Number.NEGATIVE_INFINITY);
      if (isShown && event.coveredBy === NOT_COVERED) event.coveredBy = read;
    }
    this.batch = undefined;
    fullBatches.forget(this);
  }

  /** The first event after the sequence. */
  next(sequence: number): ChannelEvent | undefined {
    if (sequence >= this.newestSequence) return undefined;
    const newestHeld = this.held.at(-1);
    if (newestHeld && newestHeld.sequence > sequence) return this.held.find((event) => event.sequence > sequence);
    return this.recent.at(this.placeAfter(sequence));
  }

  /** The events after the sequence, in order. */
  *after(sequence: number): Generator<ChannelEvent> {
    if (sequence >= this.newestSequence) return;
    for (const event of this.held) if (event.sequence > sequence) yield event;
    for (let place = this.placeAfter(sequence); place < this.recent.length; place += 1) {
      yield this.recent.at(place) as ChannelEvent;
    }
  }

  /**
   * The next events as bytes that readers share which came equally far. `undefined` if there are none, or if they are
   * not the same for everyone: then they must be read one by one.
   */
  batchAfter(sequence: number): EventBatch | undefined {
    const first = this.next(sequence);
    if (!first) return undefined;
    const full = fullBatches.get(first);
    if (full) return full;
    if (this.batch?.first !== first) this.batch = { first, value: this.makeBatch(first) };
    return this.batch.value;
  }

  /** From now on keeps what the reader needs, until `quicken`. */
  slowDown(reader: SlowReader): void {
    this.slow.add(reader);
    if (reader.neededAfter < this.neededAfter) this.recount();
  }

  quicken(reader: SlowReader): void {
    if (this.slow.delete(reader) && this.slow.size === 0) this.recount();
  }

  /** Forgets what slow readers have got meanwhile. */
  recount(): void {
    let neededAfter = Number.POSITIVE_INFINITY;
    for (const reader of this.slow) neededAfter = Math.min(neededAfter, reader.neededAfter);
    this.neededAfter = neededAfter;
    const { events, bytes } = this.statesAfter(neededAfter);
    this.need(events - this.neededEvents, bytes - this.neededBytes);
    if (this.held.length === 0) return;
    const { held } = this;
    this.held = held.filter((event) => !event.superseded && event.sequence > neededAfter);
    const kept = new Set(this.held);
    for (const event of held) {
      if (!kept.has(event) && this.newest.get(event.entity) === event) this.newest.delete(event.entity);
    }
  }

  countAfter(sequence: number): number {
    let count = 0;
    for (const _ of this.after(sequence)) count += 1;
    return count;
  }

  /** The newest states after the sequence. */
  statesAfter(sequence: number): { readonly events: number; readonly bytes: number } {
    let [events, bytes] = [0, 0];
    for (const { superseded, frame } of this.after(sequence)) {
      if (superseded) continue;
      events += 1;
      bytes += frame.length;
    }
    return { events, bytes };
  }

  /** If more is kept for slow readers than any of them may have waiting, lets each look whether it is the one. */
  review({ maxEvents, maxBytes }: BacklogLimits): void {
    if (this.neededEvents <= maxEvents && this.neededBytes <= maxBytes) return;
    for (const reader of this.slow) reader.review();
    this.recount();
  }

  /** Everything in the ring, which the caller takes out of it: the channel is over. */
  clear(): readonly ChannelEvent[] {
    const events = [...this.recent];
    this.recent.retain(() => false);
    this.held = [];
    this.newest.clear();
    this.slow.clear();
    this.recount();
    return events;
  }

  private supersede(event: ChannelEvent): void {
    event.superseded = true;
    if (event.sequence > this.neededAfter) this.need(-1, -event.frame.length);
  }

  private need(events: number, bytes: number): void {
    this.neededEvents += events;
    this.neededBytes += bytes;
    this.budget.add(bytes);
  }

  private makeBatch(first: ChannelEvent): EventBatch | undefined {
    const frames: Buffer[] = [];
    let bytes = 0;
    let last = first;
    let isFull = false;
    for (const event of this.after(first.sequence - 1)) {
      if (event.coveredBy !== NOT_COVERED) {
        if (frames.length === 0) return undefined;
        break;
      }
      isFull = frames.length > 0 && bytes + event.frame.length > BATCH_BYTES;
      if (isFull) break;
      frames.push(event.frame);
      bytes += event.frame.length;
      last = event;
    }
    const batch = {
      bytes: frames.length === 1 ? first.frame : Buffer.concat(frames, bytes),
      count: frames.length,
      upTo: last.sequence,
    };
    if (isFull) fullBatches.remember(first, batch);
    return batch;
  }

  /** Place in `recent` of the first event after the sequence. */
  private placeAfter(sequence: number): number {
    let low = 0;
    let high = this.recent.length;
    // Most readers are close behind.
    for (let step = 1; step <= 8 && high > 0; step += 1) {
      if ((this.recent.at(high - 1) as ChannelEvent).sequence <= sequence) return high;
      high -= 1;
    }
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.recent.at(middle) as ChannelEvent).sequence <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
