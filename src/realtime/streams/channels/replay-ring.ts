import type { ChannelEvent } from './channel-event.js';
import { Deque } from './deque.js';

export interface ReplayLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

const NOTHING = Buffer.alloc(0);

/** The newest events of all channels together, from which clients resume. For one more, the oldest goes. */
export class ReplayRing {
  private events = new Deque<ChannelEvent>();
  private kept = 0;
  private keptBytes = 0;
  private evictedTotal = 0;

  constructor(private readonly limits: ReplayLimits) {}

  get length(): number {
    return this.kept;
  }

  get bytes(): number {
    return this.keptBytes;
  }

  /** Events that were let go of for newer ones. */
  get evicted(): number {
    return this.evictedTotal;
  }

  push(event: ChannelEvent): void {
    this.events.push(event);
    this.kept += 1;
    this.keptBytes += event.frame.length;
    while (this.kept > this.limits.maxEvents || this.keptBytes > this.limits.maxBytes) this.evict();
    // Events of channels gone cold stay in the order until their turn comes.
    if (this.events.length > 2 * this.kept + 1_024) this.events.retain((each) => each.frame.length > 0);
  }

  /** Lets go of an event out of its turn: nobody can resume from it any more. */
  forget(event: ChannelEvent): void {
    if (event.frame.length === 0) return;
    this.kept -= 1;
    this.keptBytes -= event.frame.length;
    event.frame = NOTHING;
  }

  private evict(): void {
    const event = this.events.shift();
    if (!event || event.frame.length === 0) return;
    this.kept -= 1;
    this.keptBytes -= event.frame.length;
    this.evictedTotal += 1;
    event.keeper.release(event);
  }
}
