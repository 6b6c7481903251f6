import type { ChannelEvent, EventBatch, EventKeeper } from './channel-event.js';

/** So many are remembered, of all channels together: 256 KiB. */
const REMEMBERED = 16;

/** The newest batches that cannot grow any more: clients that fell behind alike get the same one after the other. */
export class FullBatches {
  private readonly batches = new Map<ChannelEvent, EventBatch>();

  /** The batch that begins with the event. */
  get(first: ChannelEvent): EventBatch | undefined {
    return this.batches.get(first);
  }

  remember(first: ChannelEvent, batch: EventBatch): void {
    // One of a single event is that event's own buffer, of whatever size.
    if (batch.count === 1) return;
    const [oldest] = this.batches.keys();
    if (this.batches.size === REMEMBERED && oldest !== undefined) this.batches.delete(oldest);
    this.batches.set(first, batch);
  }

  /** Those of one channel are not true any more. */
  forget(keeper: EventKeeper): void {
    for (const first of this.batches.keys()) if (first.keeper === keeper) this.batches.delete(first);
  }
}
