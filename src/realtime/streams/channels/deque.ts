/** A queue with access by place: what is in it is consecutive, the oldest first. */
export class Deque<T> {
  private items: T[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  at(index: number): T | undefined {
    return index < 0 ? undefined : this.items[this.head + index];
  }

  push(item: T): void {
    this.items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.items[this.head];
    this.head += 1;
    // What was taken is let go of soon, and moving the rest costs a constant for each item.
    if (this.head > 32 && this.head * 2 > this.items.length) this.replace(this.items.slice(this.head));
    return item;
  }

  /** Keeps those only that are wanted, in their order. */
  retain(wanted: (item: T) => boolean): void {
    this.replace([...this].filter(wanted));
  }

  *[Symbol.iterator](): Generator<T> {
    for (let index = this.head; index < this.items.length; index += 1) yield this.items[index] as T;
  }

  private replace(items: T[]): void {
    this.items = items;
    this.head = 0;
  }
}
