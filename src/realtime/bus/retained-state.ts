import type { BusEvent } from './bus-event.js';
import type { EventType } from './event-map.js';

export interface RetainedStats {
  /** Keys whose last event is kept. */
  readonly keys: number;
  readonly maxKeys: number;
  /** Keys forgotten because there were too many. */
  readonly evicted: number;
}

/** The last event of each coalesce key, for those who come when it was told already. */
export class RetainedState {
  /** The least recently updated first, which is also the order of publication. */
  private readonly events = new Map<string, BusEvent>();
  private evicted = 0;

  constructor(private readonly maxKeys: number) {}

  /** Keeps the event in the place of the one before it; a tombstone only forgets that. Events without a key pass by. */
  keep(event: BusEvent): void {
    if (event.coalesceKey === undefined) return;
    const id = `${event.type} ${event.coalesceKey}`;
    this.events.delete(id);
    if (event.tombstone) return;
    this.events.set(id, event);
    if (this.events.size <= this.maxKeys) return;
    const [oldest] = this.events.keys();
    if (oldest !== undefined) this.events.delete(oldest);
    this.evicted += 1;
  }

  /** What is kept of the types, in the order of publication. */
  of(types: readonly EventType[]): BusEvent[] {
    return [...this.events.values()].filter((event) => types.includes(event.type));
  }

  stats(): RetainedStats {
    return { keys: this.events.size, maxKeys: this.maxKeys, evicted: this.evicted };
  }
}
