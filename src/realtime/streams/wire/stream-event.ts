import { formatEventId } from './event-id.js';
import { encodeFrame } from './sse-frame.js';

/** What stands in `data` of each event, as JSON. */
export interface StreamEnvelope {
  /** Prefix of the stream key. */
  readonly type: string;
  readonly streamKey: string;
  /** Equal to the `event` field. */
  readonly eventType: string;
  /** RFC 3339, when it was sent. */
  readonly timestamp: string;
  readonly data: unknown;
}

/** An event but for its id. */
export interface EventText {
  readonly event: string;
  /** The envelope as JSON. */
  readonly data: string;
}

/** Makes the bytes of events: ids `<epoch>.<sequence>` and the JSON envelope that every event carries (DESIGN 5). */
export class StreamEncoder {
  constructor(
    /** Of this process: tells ids of another one, or of one before a restart. Hexadecimal. */
    readonly epoch: string,
    private readonly now: () => number,
  ) {}

  /** A change of one key. */
  change(sequence: number, streamKey: string, eventType: string, data: unknown): Buffer {
    return this.frame(sequence, this.text(streamKey, eventType, JSON.stringify(data)));
  }

  /** An event of one key; `json` is its `data`. */
  text(streamKey: string, eventType: string, json: string): EventText {
    const [type = ''] = streamKey.split(':', 1);
    const head = JSON.stringify({ type, streamKey, eventType, timestamp: this.timestamp() });
    return { event: eventType, data: `${head.slice(0, -1)},"data":${json}}` };
  }

  /** An event about the connection itself, whatever its keys: `type` and `streamKey` are `stream`. */
  control(sequence: number, eventType: string, data: unknown, retryMs?: number): Buffer {
    return this.frame(sequence, this.text('stream', eventType, JSON.stringify(data)), retryMs);
  }

  /** Sequence 0 makes an id that nothing can be resumed from, so that a client gets a snapshot. */
  frame(sequence: number, text: EventText, retryMs?: number): Buffer {
    const id = formatEventId(this.epoch, sequence);
    return encodeFrame({ id, ...text, ...(retryMs === undefined ? {} : { retry: retryMs }) });
  }

  /** The frame of a change with an id that nothing can be resumed from. */
  withoutResume(frame: Buffer): Buffer {
    const rest = frame.subarray(frame.indexOf('\n'));
    return Buffer.concat([Buffer.from(`id: ${formatEventId(this.epoch, 0)}`), rest]);
  }

  private timestamp(): string {
    return new Date(this.now()).toISOString();
  }
}
