export interface QueueLimits {
  readonly maxItems: number;
  /** Without it only items are counted. */
  readonly maxBytes?: number;
}

interface Entry<T> {
  readonly item: T;
  readonly key: string | undefined;
  readonly bytes: number;
}

/**
 * A bounded first-in-first-out queue that makes room by forgetting superseded state.
 *
 * Only when it is full, an item whose key was queued again later is removed. What stays keeps its order, so an item
 * without a key is neither skipped nor overtaken.
 */
export class CoalescingQueue<T> {
  private entries: Entry<T>[] = [];
  private head = 0;
  private queuedBytes = 0;
  /** How many entries of each key are queued. */
  private readonly keys = new Map<string, number>();
  private superseded = 0;
  private coalescedTotal = 0;

  constructor(private readonly limits: QueueLimits) {}

  get length(): number {
    return this.entries.length - this.head;
  }

  get bytes(): number {
    return this.queuedBytes;
  }

  /** Items removed so far because a later one superseded them. */
  get coalesced(): number {
    return this.coalescedTotal;
  }

  /** Whether one more fits without superseded items making room for it. */
  hasRoom(bytes = 0): boolean {
    const { maxItems, maxBytes = Number.POSITIVE_INFINITY } = this.limits;
    return this.length < maxItems && this.queuedBytes + bytes <= maxBytes;
  }

  /** Appends the item; false, and nothing is changed but superseded items gone, if there is no room for it. */
  offer(item: T, key?: string, bytes = 0): boolean {
    if (!this.hasRoom(bytes)) {
      const newest = key === undefined ? 0 : (this.keys.get(key) ?? 0);
      if (this.superseded + newest > 0) this.coalesce(key);
      if (!this.hasRoom(bytes)) return false;
    }
    this.append({ item, key, bytes });
    return true;
  }

  /** Removes and returns the oldest item. */
  shift(): T | undefined {
    const entry = this.entries[this.head];
    if (entry === undefined) return undefined;
    this.head += 1;
    this.queuedBytes -= entry.bytes;
    this.forgetKey(entry.key);
    if (this.head > 64 && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    } else if (this.head === this.entries.length) {
      this.entries.length = 0;
      this.head = 0;
    }
    return entry.item;
  }

  peek(): T | undefined {
    return this.entries[this.head]?.item;
  }

  /** Removes the items that `unwanted` names, whatever their place. */
  remove(unwanted: (item: T) => boolean): void {
    const kept = this.entries.slice(this.head).filter((entry) => !unwanted(entry.item));
    this.clear();
    for (const entry of kept) this.append(entry);
  }

  /** Empties the queue and returns how many items it had. */
  clear(): number {
    const { length } = this;
    this.entries = [];
    this.head = 0;
    this.queuedBytes = 0;
    this.superseded = 0;
    this.keys.clear();
    return length;
  }

  /** Keeps of each key its last entry only, and none of `arriving`, whose new state is about to be appended. */
  private coalesce(arriving: string | undefined): void {
    const seen = new Set<string>(arriving === undefined ? [] : [arriving]);
    const kept: Entry<T>[] = [];
    const before = this.length;
    for (let index = this.entries.length - 1; index >= this.head; index -= 1) {
      const entry = this.entries[index];
      if (entry === undefined || (entry.key !== undefined && seen.has(entry.key))) continue;
      if (entry.key !== undefined) seen.add(entry.key);
      kept.push(entry);
    }
    this.coalescedTotal += before - kept.length;
    this.clear();
    for (const entry of kept.toReversed()) this.append(entry);
  }

  private append(entry: Entry<T>): void {
    this.entries.push(entry);
    this.queuedBytes += entry.bytes;
    if (entry.key === undefined) return;
    const count = this.keys.get(entry.key) ?? 0;
    if (count > 0) this.superseded += 1;
    this.keys.set(entry.key, count + 1);
  }

  private forgetKey(key: string | undefined): void {
    if (key === undefined) return;
    const count = this.keys.get(key) ?? 0;
    if (count <= 1) {
      this.keys.delete(key);
    } else {
      this.keys.set(key, count - 1);
      this.superseded -= 1;
    }
  }
}
