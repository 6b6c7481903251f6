import type { Slice } from '../storage/limits.js';

/** A slice of so many steps, whatever time they take. */
export class CountedSlice implements Slice {
  private readonly size: number;
  private left = 0;

  constructor(size: number) {
    this.size = size;
  }

  begin(): void {
    this.left = this.size;
  }

  isOver(): boolean {
    return --this.left <= 0;
  }
}
