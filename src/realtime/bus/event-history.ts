import type { BusEvent } from './bus-event.js';
import type { EventType } from './event-map.js';

export interface RecentEventsQuery {
  /** Only these types. */
  readonly types?: readonly EventType[];
  /** Milliseconds since the epoch: only events published then or later. */
  readonly since?: number;
  /** Only events published after the one with this sequence. */
  readonly after?: number;
  /** Not more than these, the newest ones. */
  readonly limit?: number;
}

/** The last events of a bus, whoever got them. Keeps references only. */
export class EventHistory {
  private readonly events: (BusEvent | undefined)[];
  /** Where the next one goes. */
  private place = 0;

  constructor(readonly size: number) {
    this.events = Array.from({ length: size }, () => undefined);
  }

  add(event: BusEvent): void {
    this.events[this.place] = event;
    this.place = this.place + 1 === this.size ? 0 : this.place + 1;
  }

  /** In the order of publication. */
  recent({ types, since = 0, after = 0, limit = this.size }: RecentEventsQuery = {}): BusEvent[] {
    const found: BusEvent[] = [];
    for (let back = 1; back <= this.size && found.length < limit; back += 1) {
      const event = this.events[(this.place - back + this.size) % this.size];
      if (event === undefined || event.sequence <= after) break;
      if (event.timestamp >= since && (!types || types.includes(event.type))) found.push(event);
    }
    return found.toReversed();
  }
}
