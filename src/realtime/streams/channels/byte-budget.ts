/** Bytes that the process may hold back for stream clients that do not take them. */
export class ByteBudget {
  private used = 0;

  constructor(readonly maxBytes: number) {}

  get usedBytes(): number {
    return this.used;
  }

  get isExceeded(): boolean {
    return this.used > this.maxBytes;
  }

  add(bytes: number): void {
    this.used += bytes;
  }
}
