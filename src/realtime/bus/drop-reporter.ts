import { callSafely } from './call-safely.js';
import type { EventType } from './event-map.js';

/** Events of one type that one subscription lost in one turn, although it must not lose any. */
export interface CriticalDrop {
  readonly eventType: EventType;
  /** Name of the subscription. */
  readonly subscription: string;
  /** What it is subscribed to. */
  readonly types: readonly EventType[];
  /** Events that may wait for it. */
  readonly bufferSize: number;
  /** Events lost. */
  readonly count: number;
}

/** Who lost an event. */
export interface Loser {
  readonly name: string;
  readonly types: readonly EventType[];
  readonly bufferSize: number;
  /** A loss is expected: counted, but not told. */
  readonly lossy: boolean;
  /** Told how many events it has lost since the last time. */
  tellDropped?(count: number): void;
}

export interface DropCounts {
  /** Lost by those who must not lose any. */
  readonly critical: number;
  /** Lost by those who said that they can bear it. */
  readonly observability: number;
  /** The sum of both. */
  readonly total: number;
}

/**
 * Counts what is lost and tells it: never within the publish that caused it but after it, and at most once in each
 * turn of the event loop, so that who is told may publish, even if that loses events again.
 */
export class DropReporter {
  private readonly callbacks = new Set<(drop: CriticalDrop) => unknown>();
  private critical = 0;
  private observability = 0;
  private drops = new Map<string, { drop: CriticalDrop; count: number }>();
  private losers = new Map<Loser, number>();
  private scheduled = false;

  /** `onError` gets what a callback has thrown. */
  constructor(private readonly onError: (error: unknown) => void) {}

  get counts(): DropCounts {
    const { critical, observability } = this;
    return { critical, observability, total: critical + observability };
  }

  /** Has critical drops told to the callback. Returns what ends that. */
  onCriticalDrop(callback: (drop: CriticalDrop) => void): () => void {
    const own = (drop: CriticalDrop): unknown => callback(drop);
    this.callbacks.add(own);
    return () => void this.callbacks.delete(own);
  }

  dropped(loser: Loser, eventType: EventType): void {
    this.losers.set(loser, (this.losers.get(loser) ?? 0) + 1);
    if (loser.lossy) {
      this.observability += 1;
    } else {
      this.critical += 1;
      this.note(loser, eventType);
    }
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(this.report);
  }

  private note({ name, types, bufferSize }: Loser, eventType: EventType): void {
    const key = `${eventType} ${name}`;
    const entry = this.drops.get(key);
    if (entry) entry.count += 1;
    else this.drops.set(key, { drop: { eventType, subscription: name, types, bufferSize, count: 1 }, count: 1 });
  }

  private readonly report = (): void => {
    const { drops, losers } = this;
    this.drops = new Map();
    this.losers = new Map();
    for (const [loser, count] of losers) loser.tellDropped?.(count);
    for (const { drop, count } of drops.values()) {
      for (const callback of this.callbacks) void callSafely(() => callback({ ...drop, count }), this.onError);
    }
    setImmediate(this.endTurn);
  };

  private readonly endTurn = (): void => {
    if (this.losers.size > 0) this.report();
    else this.scheduled = false;
  };
}
