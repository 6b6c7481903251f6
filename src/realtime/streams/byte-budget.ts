/** Bytes that all sessions together may hold back for clients that do not take them. */
export class ByteBudget {
  private used = 0;

  constructor(private readonly maxBytes: number) {}

  get usedBytes(): number {
    return this.used;
  }

  allows(bytes: number): boolean {
    return this.used + bytes <= this.maxBytes;
  }

  add(bytes: number): void {
    this.used += bytes;
  }
}
