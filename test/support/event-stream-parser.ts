/** An event as an EventSource dispatches it. */
export interface ParsedEvent {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
}

/** A parser of event streams after the HTML standard, for whole texts or for pieces as they come. */
export class EventStreamParser {
  readonly events: ParsedEvent[] = [];
  readonly comments: string[] = [];
  /** Milliseconds of the last valid `retry` field. */
  retry: number | undefined;
  private readonly decoder = new TextDecoder();
  private rest = '';
  private idBuffer = '';
  private type = '';
  private data: string[] = [];

  push(bytes: Uint8Array): this {
    this.rest += this.decoder.decode(bytes, { stream: true });
    for (;;) {
      const end = /\r\n|\n|\r(?!$)/.exec(this.rest);
      if (!end) return this;
      this.line(this.rest.slice(0, end.index));
      this.rest = this.rest.slice(end.index + end[0].length);
    }
  }

  private line(line: string): void {
    if (line === '') this.dispatch();
    else if (line.startsWith(':')) this.comments.push(line.slice(1));
    else {
      const colon = line.indexOf(':');
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      this.field(name, value);
    }
  }

  private field(name: string, value: string): void {
    if (name === 'event') this.type = value;
    else if (name === 'data') this.data.push(value);
    else if (name === 'id' && !value.includes('\0')) this.idBuffer = value;
    else if (name === 'retry' && /^[0-9]+$/.test(value)) this.retry = Number(value);
  }

  private dispatch(): void {
    if (this.data.length > 0) {
      this.events.push({ type: this.type || 'message', data: this.data.join('\n'), lastEventId: this.idBuffer });
    }
    this.type = '';
    this.data = [];
  }
}
