import { EventSource } from 'eventsource';

/** `data` of every event: DESIGN's envelope. */
export interface StreamEnvelope {
  readonly type: string;
  readonly streamKey: string;
  readonly eventType: string;
  readonly timestamp: string;
  readonly data: Record<string, unknown>;
}

export interface ReceivedEvent {
  readonly id: string;
  readonly event: string;
  readonly envelope: StreamEnvelope;
}

const NAMES = [
  'snapshot',
  'node_update',
  'status_update',
  'run_update',
  'cluster_health',
  'lagged',
  'heartbeat',
  'shutdown',
];

/** A real EventSource that remembers all that it got. */
export class StreamClient {
  readonly events: ReceivedEvent[] = [];
  readonly source: EventSource;
  private readonly listeners = new Set<() => void>();

  constructor(url: string, key?: string) {
    this.source = new EventSource(url, {
      fetch: (input, init) =>
        fetch(input, {
          ...init,
          headers: { ...init.headers, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
        }),
    });
    for (const name of NAMES) {
      this.source.addEventListener(name, (event) => {
        this.events.push({
          id: event.lastEventId,
          event: name,
          envelope: JSON.parse(String(event.data)) as StreamEnvelope,
        });
        for (const listener of this.listeners) listener();
      });
    }
  }

  /** Resolves to the first event, received already or to come, that matches; throws with what came after `withinMs`. */
  waitFor(matches: (event: ReceivedEvent) => boolean, withinMs = 30_000, from = 0): Promise<ReceivedEvent> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.events.slice(from).find(matches);
        if (!found) return;
        clearTimeout(timer);
        this.listeners.delete(look);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.listeners.delete(look);
        const seen = this.events.slice(-20).map(({ envelope }) => JSON.stringify(envelope).slice(0, 400));
        reject(new Error(`no such event in ${withinMs} ms; the last of ${this.events.length}:\n${seen.join('\n')}`));
      }, withinMs);
      this.listeners.add(look);
      look();
    });
  }

  close(): void {
    this.source.close();
  }
}
