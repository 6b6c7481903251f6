import type { BusEvent } from './bus-event.js';
import type { Loser } from './drop-reporter.js';
import { EventQueue, keyWithType } from './event-queue.js';

/** The buffer of a bus that is not started, or paused. */
export interface BufferStats {
  /** Events that wait for the start. */
  readonly length: number;
  readonly maxEvents: number;
  /** Events lost because it was full. */
  readonly dropped: number;
  /** States left out for a later one because it was full. */
  readonly superseded: number;
}

/** Keeps events until the bus starts. When it is full it forgets superseded states first, then the oldest event. */
export class EventBuffer implements Loser {
  readonly name = 'event buffer';
  readonly types = [];
  readonly lossy = false;
  private readonly queue: EventQueue;
  private dropped = 0;

  constructor(readonly bufferSize: number) {
    this.queue = new EventQueue(bufferSize, keyWithType);
  }

  /** Keeps the event; returns the one that is lost for it. */
  add(event: BusEvent): BusEvent | undefined {
    if (this.queue.push(event)) return undefined;
    const oldest = this.queue.shift();
    this.queue.push(event);
    this.dropped += 1;
    return oldest;
  }

  /** Empties it; in the order of publication. */
  take(): BusEvent[] {
    const events: BusEvent[] = [];
    for (let event = this.queue.shift(); event; event = this.queue.shift()) events.push(event);
    return events;
  }

  stats(): BufferStats {
    const { queue, bufferSize: maxEvents, dropped } = this;
    return { length: queue.length, maxEvents, dropped, superseded: queue.superseded };
  }
}
