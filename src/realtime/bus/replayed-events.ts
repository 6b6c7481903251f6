import type { BusEvent } from './bus-event.js';
import { EventQueue } from './event-queue.js';

/**
 * What was published while the bus did not run: waits beside the queue of a subscription, outside its bound, and is
 * handled before what came later.
 */
export class ReplayedEvents {
  private readonly early: EventQueue;

  /** `live` is the queue beside it. */
  constructor(
    private readonly live: EventQueue,
    maxEvents: number,
  ) {
    this.early = new EventQueue(maxEvents);
  }

  get isEmpty(): boolean {
    return this.early.length === 0;
  }

  /** Events that wait in both. */
  get totalLength(): number {
    return this.early.length + this.live.length;
  }

  /** When the oldest event of both was published, in milliseconds since the epoch. */
  get oldestTimestamp(): number | undefined {
    const [early, live] = [this.early.peek(), this.live.peek()];
    if (early === undefined || live === undefined) return (early ?? live)?.timestamp;
    return Math.min(early.timestamp, live.timestamp);
  }

  /** Appends the event; false, and nothing is changed, if too many are left of earlier replays. */
  push(event: BusEvent): boolean {
    return this.early.push(event);
  }

  /** Removes and returns the oldest event of both: each is in the order of publication, but either may hold the older. */
  shift(): BusEvent | undefined {
    const [early, live] = [this.early.peek(), this.live.peek()];
    if (early === undefined || (live !== undefined && live.sequence < early.sequence)) return this.live.shift();
    return this.early.shift();
  }
}
