import { Subject } from 'rxjs';
import type { BusEvent } from './bus-event.js';
import type { EventType } from './event-map.js';

/** A Subject of subscribers that neither throw nor come or go while they are told something. */
class EventSubject extends Subject<BusEvent> {
  /** Spares the closure, the copy and the generic iteration of RxJS, which take longer than all subscribers do. */
  override next(event: BusEvent): void {
    for (const observer of this.observers) observer.next(event);
  }

  get size(): number {
    return this.observers.length;
  }
}

/** What the bus keeps of one event type. */
export class EventChannel {
  readonly subject = new EventSubject();
  /** Events of the type so far. */
  published = 0;
  /** Whether the last event of each coalesce key is kept. */
  retained = false;
}

/** The channels by event type, made when they are first needed. */
export class EventChannels {
  private readonly channels = new Map<EventType, EventChannel>();

  of(type: EventType): EventChannel {
    return this.channels.get(type) ?? this.open(type);
  }

  /** Events so far, by type. */
  published(): Map<EventType, number> {
    const used = [...this.channels].filter(([, { published }]) => published > 0);
    return new Map(used.map(([type, { published }]) => [type, published]));
  }

  private open(type: EventType): EventChannel {
    const channel = new EventChannel();
    this.channels.set(type, channel);
    return channel;
  }
}
