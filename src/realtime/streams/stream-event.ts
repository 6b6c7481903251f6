import { encodeFrame } from './sse-frame.js';
import type { StreamItem } from './stream-topic.js';

/** A change on its way to the clients of one stream key, encoded once for all of them. */
export interface StreamEvent {
  /** Order of publication over all keys of the process, from 1. */
  readonly sequence: number;
  readonly streamKey: string;
  readonly tenantId: string;
  readonly entity: string;
  readonly version: number;
  /** Equal for the states of one entity in one stream. */
  readonly coalesceKey: string;
  readonly frame: Buffer;
}

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

/** Makes the bytes of events: ids `<epoch>.<sequence>` and the JSON envelope that every event carries (DESIGN 5). */
export class StreamEncoder {
  constructor(
    /** Of this process: tells ids of another one, or of one before a restart. Without a dot. */
    private readonly epoch: string,
    private readonly now: () => number,
  ) {}

  change(sequence: number, streamKey: string, tenantId: string, item: StreamItem): StreamEvent {
    const frame = this.event(sequence, streamKey, item.eventType, item.data);
    const coalesceKey = `${streamKey}\n${item.entity}`;
    return { sequence, streamKey, tenantId, entity: item.entity, version: item.version, coalesceKey, frame };
  }

  /** An event of one key. Sequence 0 makes an id that nothing can be resumed from, so that a client gets a snapshot. */
  event(sequence: number, streamKey: string, eventType: string, data: unknown): Buffer {
    const [type = ''] = streamKey.split(':', 1);
    return this.encode(sequence, { type, streamKey, eventType, timestamp: this.timestamp(), data });
  }

  /** An event about the connection itself, whatever its keys: `type` and `streamKey` are `stream`. */
  control(sequence: number, eventType: string, data: unknown, retryMs?: number): Buffer {
    const envelope = { type: 'stream', streamKey: 'stream', eventType, timestamp: this.timestamp(), data };
    return this.encode(sequence, envelope, retryMs);
  }

  private encode(sequence: number, envelope: StreamEnvelope, retryMs?: number): Buffer {
    return encodeFrame({
      id: `${this.epoch}.${sequence}`,
      event: envelope.eventType,
      data: JSON.stringify(envelope),
      ...(retryMs === undefined ? {} : { retry: retryMs }),
    });
  }

  private timestamp(): string {
    return new Date(this.now()).toISOString();
  }
}
