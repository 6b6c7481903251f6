import type { BusEvent } from './bus-event.js';

/** The key under which a later event supersedes an earlier one; `undefined` of an event that nothing supersedes. */
export type KeyOf = (event: BusEvent) => string | undefined;

/** The key where events of one type meet. */
export const plainKey: KeyOf = (event) => event.coalesceKey;

/** The key where events of several types meet: a state of one never supersedes that of another. */
export const keyWithType: KeyOf = ({ type, coalesceKey }) =>
  coalesceKey === undefined ? undefined : `${type} ${coalesceKey}`;

/** A power of two, as every size of the ring. */
const FIRST_SLOTS = 16;

/**
 * A bounded first-in-first-out queue that makes room by forgetting superseded state.
 *
 * Only when it is full, an event whose key was queued again later is removed. What stays keeps its order, so an event
 * without a key is neither skipped nor overtaken. Nothing is done about keys before it is full for the first time
 * since it was empty, which it hardly ever is: until then an event costs a store and a load.
 */
export class EventQueue {
  private ring: (BusEvent | undefined)[] = [];
  private head = 0;
  private count = 0;
  private most = 0;
  private forgotten = 0;
  /** Of the queued events, while it matters. */
  private tally: KeyTally | undefined;

  /** Without `keyOf` nothing supersedes anything. */
  constructor(
    private readonly maxEvents: number,
    private readonly keyOf?: KeyOf,
  ) {}

  get length(): number {
    return this.count;
  }

  /** The most events that were ever queued. */
  get peak(): number {
    return this.most;
  }

  /** Events removed so far because a later one superseded them. */
  get superseded(): number {
    return this.forgotten;
  }

  /** Appends the event; false, and nothing is changed, if there is no room for it and none can be made. */
  push(event: BusEvent): boolean {
    if (this.count >= this.maxEvents && !this.forgetSuperseded(event)) return false;
    if (this.count === this.ring.length) this.grow();
    this.ring[(this.head + this.count) & (this.ring.length - 1)] = event;
    this.count += 1;
    if (this.count > this.most) this.most = this.count;
    if (this.tally !== undefined) this.tally.add(event);
    return true;
  }

  /** Removes and returns the oldest event. */
  shift(): BusEvent | undefined {
    if (this.count === 0) return undefined;
    const event = this.ring[this.head];
    this.ring[this.head] = undefined;
    this.head = (this.head + 1) & (this.ring.length - 1);
    this.count -= 1;
    if (this.tally !== undefined && event !== undefined) this.untally(this.tally, event);
    return event;
  }

  peek(): BusEvent | undefined {
    return this.ring[this.head];
  }

  clear(): void {
    this.ring = [];
    this.head = 0;
    this.count = 0;
    this.tally = undefined;
  }

  /** Keeps of each key its last event only, and none of the key of the one that arrives; whether there is room now. */
  private forgetSuperseded(arriving: BusEvent): boolean {
    const { keyOf } = this;
    if (!keyOf) return false;
    this.tally ??= this.tallied(keyOf);
    const key = keyOf(arriving);
    if (!this.tally.wouldSupersede(key)) return false;

    const seen = new Set([key]);
    const kept: BusEvent[] = [];
    for (const event of this.queued().toReversed()) {
      const own = keyOf(event);
      if (own !== undefined && seen.has(own)) continue;
      seen.add(own);
      kept.push(event);
    }
    this.forgotten += this.count - kept.length;
    this.clear();
    for (const event of kept.toReversed()) this.push(event);
    this.tally = this.tallied(keyOf);
    return true;
  }

  private queued(): BusEvent[] {
    return [...this.ring.slice(this.head), ...this.ring.slice(0, this.head)].filter((event) => event !== undefined);
  }

  private tallied(keyOf: KeyOf): KeyTally {
    const tally = new KeyTally(keyOf);
    for (const event of this.queued()) tally.add(event);
    return tally;
  }

  private untally(tally: KeyTally, event: BusEvent): void {
    if (this.count === 0) this.tally = undefined;
    else tally.remove(event);
  }

  /** Doubles the ring, its oldest event first. */
  private grow(): void {
    const slots = Math.max(FIRST_SLOTS, this.ring.length * 2);
    const queued = this.queued();
    this.ring = Array.from({ length: slots }, (_, index) => queued[index]);
    this.head = 0;
  }
}

/** How many events of each key there are. */
class KeyTally {
  private readonly counts = new Map<string, number>();
  /** Events that have a later one of their key beside them. */
  private superseded = 0;

  constructor(private readonly keyOf: KeyOf) {}

  add(event: BusEvent): void {
    const key = this.keyOf(event);
    if (key === undefined) return;
    const count = this.counts.get(key) ?? 0;
    if (count > 0) this.superseded += 1;
    this.counts.set(key, count + 1);
  }

  /** Takes away the oldest event. */
  remove(event: BusEvent): void {
    const key = this.keyOf(event);
    if (key === undefined) return;
    const count = this.counts.get(key) ?? 0;
    if (count > 1) {
      this.counts.set(key, count - 1);
      this.superseded -= 1;
    } else {
      this.counts.delete(key);
    }
  }

  /** Whether there are superseded events, once one more of the key is there. */
  wouldSupersede(key: string | undefined): boolean {
    return this.superseded > 0 || (key !== undefined && this.counts.has(key));
  }
}
