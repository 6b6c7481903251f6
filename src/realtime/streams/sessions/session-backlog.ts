import { BATCH_BYTES, type ChannelEvent, type EventBatch } from '../channels/channel-event.js';
import type { BacklogLimits } from '../channels/channel-log.js';
import type { SessionReader } from './session-reader.js';
import type { StreamEncoder } from '../wire/stream-event.js';

/** How a client that was slow gets what waits for it. */
export type CatchUp = 'every event' | 'newest states' | 'snapshot';

export interface SessionBatch extends EventBatch {
  /** States left out, because a later one supersedes them. */
  readonly coalesced: number;
}

/** What a session has not been given yet, over all its channels in the order of the process. */
export class SessionBacklog {
  constructor(
    private readonly readers: readonly SessionReader[],
    private readonly limits: BacklogLimits,
    private readonly encoder: StreamEncoder,
  ) {}

  /** How many events wait after the sequence. */
  count(sequence: number): number {
    let count = 0;
    for (const _ of this.unread(sequence)) count += 1;
    return count;
  }

  isEmpty(sequence: number): boolean {
    return this.readers.every((reader) => reader.next(sequence) === undefined);
  }

  /** What a client may have that is as far behind as this: more than the limits even of newest states is too much. */
  catchUp(sequence: number): CatchUp {
    const { maxEvents, maxBytes } = this.limits;
    let [events, bytes, states, stateBytes] = [0, 0, 0, 0];
    for (const { superseded, frame } of this.unread(sequence)) {
      events += 1;
      bytes += frame.length;
      if (superseded) continue;
      states += 1;
      stateBytes += frame.length;
      if (states > maxEvents || stateBytes > maxBytes) return 'snapshot';
    }
    return events > maxEvents || bytes > maxBytes ? 'newest states' : 'every event';
  }

  /**
   * The next events as one buffer, `undefined` if there are none. Ids below `resumableFrom` are made such that nothing
   * resumes from them.
   */
  batch(sequence: number, isCoalescing: boolean, resumableFrom: number): SessionBatch | undefined {
    const shared = isCoalescing || sequence < resumableFrom ? undefined : this.sharedBatch(sequence);
    if (shared) return { ...shared, coalesced: 0 };
    const frames: Buffer[] = [];
    let [bytes, coalesced, upTo] = [0, 0, sequence];
    for (const event of merged(this.readers, sequence)) {
      if (isCoalescing && event.superseded) coalesced += 1;
      else {
        const frame = event.sequence < resumableFrom ? this.encoder.withoutResume(event.frame) : event.frame;
        if (frames.length > 0 && bytes + frame.length > BATCH_BYTES) break;
        frames.push(frame);
        bytes += frame.length;
      }
      upTo = event.sequence;
    }
    const [first] = frames;
    if (!first) return undefined;
    const all = frames.length === 1 ? first : Buffer.concat(frames, bytes);
    return { bytes: all, count: frames.length, upTo, coalesced };
  }

  /** The batch of the only channel with news, which its other readers get too. */
  private sharedBatch(sequence: number): EventBatch | undefined {
    let only: SessionReader | undefined;
    for (const reader of this.readers) {
      if (reader.channel.log.lastSequence <= sequence) continue;
      if (only) return undefined;
      only = reader;
    }
    return only?.channel.log.batchAfter(Math.max(sequence, only.since));
  }

  private *unread(sequence: number): Generator<ChannelEvent> {
    for (const reader of this.readers) {
      const { channel, since } = reader;
      for (const event of channel.log.after(Math.max(sequence, since))) if (reader.needs(event)) yield event;
    }
  }
}

/** The events that the readers need after the sequence, in the order of the process. */
function* merged(readers: readonly SessionReader[], sequence: number): Generator<ChannelEvent> {
  const heads: { reader: SessionReader; event: ChannelEvent }[] = [];
  for (const reader of readers) {
    const event = reader.next(sequence);
    if (event) heads.push({ reader, event });
  }
  while (heads.length > 0) {
    let least = heads[0] as (typeof heads)[number];
    for (const head of heads) if (head.event.sequence < least.event.sequence) least = head;
    yield least.event;
    const next = least.reader.next(least.event.sequence);
    if (next) least.event = next;
    else heads.splice(heads.indexOf(least), 1);
  }
}
