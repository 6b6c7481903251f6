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

/** A power of two, as every size of the ring. */
const FIRST_SLOTS = 16;

/**
 * A bounded first-in-first-out queue that makes room by forgetting superseded state.
 *
 * Only when it is full, an item whose key was queued again later is removed. What stays keeps its order, so an item
 * without a key is neither skipped nor overtaken.
 *
 * A ring that grows on demand. Keys and sizes stand beside the items, and only where there are any: most queues of
 * the event bus hold nothing but items, and appending and removing one is then a store and a load.
 */
export class CoalescingQueue<T> {
  private items: (T | undefined)[] = [];
  private itemKeys: (string | undefined)[] | undefined;
  private itemBytes: number[] | undefined;
  private head = 0;
  private count = 0;
  private queuedBytes = 0;
  /** How many entries of each key are queued. */
  private readonly keys = new Map<string, number>();
  private superseded = 0;
  private coalescedTotal = 0;
  private readonly maxItems: number;
  private readonly maxBytes: number;

  constructor({ maxItems, maxBytes = Number.POSITIVE_INFINITY }: QueueLimits) {
    this.maxItems = maxItems;
    this.maxBytes = maxBytes;
  }

  get length(): number {
    return this.count;
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
    return this.count < this.maxItems && this.queuedBytes + bytes <= this.maxBytes;
  }

  /** Appends the item; false, and nothing is changed but superseded items gone, if there is no room for it. */
  offer(item: T, key?: string, bytes = 0): boolean {
    if (!this.hasRoom(bytes)) {
      const newest = key === undefined ? 0 : (this.keys.get(key) ?? 0);
      if (this.superseded + newest > 0) this.coalesce(key);
      if (!this.hasRoom(bytes)) return false;
    }
    this.append(item, key, bytes);
    return true;
  }

  /** Removes and returns the oldest item. */
  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const at = this.head;
    const item = this.items[at];
    this.items[at] = undefined;
    this.head = (at + 1) & (this.items.length - 1);
    this.count -= 1;
    if (this.itemBytes) this.queuedBytes -= this.itemBytes[at] ?? 0;
    if (this.itemKeys) this.forgetKey(at);
    return item;
  }

  peek(): T | undefined {
    return this.items[this.head];
  }

  /** Removes the items that `unwanted` names, whatever their place. */
  remove(unwanted: (item: T) => boolean): void {
    this.refill([...this.entries()].filter((entry) => !unwanted(entry.item)));
  }

  /** Empties the queue and returns how many items it had. */
  clear(): number {
    const length = this.count;
    this.items = [];
    this.itemKeys = undefined;
    this.itemBytes = undefined;
    this.head = 0;
    this.count = 0;
    this.queuedBytes = 0;
    this.superseded = 0;
    this.keys.clear();
    return length;
  }

  /** Keeps of each key its last entry only, and none of `arriving`, whose new state is about to be appended. */
  private coalesce(arriving: string | undefined): void {
    const seen = new Set<string>(arriving === undefined ? [] : [arriving]);
    const before = this.count;
    const kept = [...this.entries()].toReversed().filter(({ key }) => {
      if (key === undefined) return true;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    });
    this.coalescedTotal += before - kept.length;
    this.refill(kept.toReversed());
  }

  private *entries(): Generator<Entry<T>> {
    for (let place = 0; place < this.count; place += 1) {
      const at = (this.head + place) & (this.items.length - 1);
      yield { item: this.items[at] as T, key: this.itemKeys?.[at], bytes: this.itemBytes?.[at] ?? 0 };
    }
  }

  private refill(entries: readonly Entry<T>[]): void {
    this.clear();
    for (const { item, key, bytes } of entries) this.append(item, key, bytes);
  }

  private append(item: T, key: string | undefined, bytes: number): void {
    if (this.count === this.items.length) this.grow();
    const at = (this.head + this.count) & (this.items.length - 1);
    this.items[at] = item;
    this.count += 1;
    if (bytes > 0 || this.itemBytes) {
      this.itemBytes ??= Array.from(this.items, () => 0);
      this.itemBytes[at] = bytes;
      this.queuedBytes += bytes;
    }
    if (key !== undefined) this.rememberKey(at, key);
  }

  private rememberKey(at: number, key: string): void {
    this.itemKeys ??= Array.from(this.items, () => undefined);
    this.itemKeys[at] = key;
    const queued = this.keys.get(key) ?? 0;
    if (queued > 0) this.superseded += 1;
    this.keys.set(key, queued + 1);
  }

  private forgetKey(at: number): void {
    const key = this.itemKeys?.[at];
    if (key === undefined || !this.itemKeys) return;
    this.itemKeys[at] = undefined;
    const queued = this.keys.get(key) ?? 0;
    if (queued <= 1) {
      this.keys.delete(key);
    } else {
      this.keys.set(key, queued - 1);
      this.superseded -= 1;
    }
  }

  /** Doubles the ring, its oldest item first. */
  private grow(): void {
    const { head } = this;
    const slots = Math.max(FIRST_SLOTS, this.items.length * 2);
    const unrolled = <V>(ring: V[], empty: V): V[] => {
      const grown = [...ring.slice(head), ...ring.slice(0, head)];
      while (grown.length < slots) grown.push(empty);
      return grown;
    };
    this.items = unrolled(this.items, undefined);
    if (this.itemKeys) this.itemKeys = unrolled(this.itemKeys, undefined);
    if (this.itemBytes) this.itemBytes = unrolled(this.itemBytes, 0);
    this.head = 0;
  }
}
