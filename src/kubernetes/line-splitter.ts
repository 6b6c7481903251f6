const NEWLINE = 0x0a;

/** A line has grown beyond the cap. */
export class LineTooLong extends Error {
  constructor(maxBytes: number) {
    super(`a line is longer than ${maxBytes} bytes`);
    this.name = 'LineTooLong';
  }
}

/** Cuts bytes into lines, whatever the chunks; holds at most one line of at most `maxBytes`. */
export class LineSplitter {
  private parts: Buffer[] = [];
  private held = 0;

  constructor(private readonly maxBytes: number) {}

  /** The lines that the chunk completes, without their newline and without empty ones. @throws LineTooLong */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = this.complete(chunk.subarray(start, end));
      if (line.length > 0) lines.push(line);
      start = end + 1;
    }
    this.hold(chunk.subarray(start));
    return lines;
  }

  /** Whether the bytes so far end within a line. */
  get isMidLine(): boolean {
    return this.held > 0;
  }

  private complete(tail: Buffer): Buffer {
    if (this.held === 0) {
      if (tail.length > this.maxBytes) throw new LineTooLong(this.maxBytes);
      return tail;
    }
    this.hold(tail);
    const line = Buffer.concat(this.parts, this.held);
    this.parts = [];
    this.held = 0;
    return line;
  }

  private hold(part: Buffer): void {
    if (part.length === 0) return;
    this.held += part.length;
    if (this.held > this.maxBytes) throw new LineTooLong(this.maxBytes);
    this.parts.push(part);
  }
}
