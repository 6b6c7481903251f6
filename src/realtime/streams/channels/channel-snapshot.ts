import type { ByteBudget } from './byte-budget.js';
import { snapshotParts } from './snapshot-parts.js';
import type { EventText, StreamEncoder } from '../wire/stream-event.js';
import type { StreamItem } from '../stream-topic.js';

/** A channel's state, read once and encoded once for all that wait for it. In the budget while somebody holds it. */
export class ChannelSnapshot {
  private readonly parts: Buffer[] = [];
  /** The last part is kept as text too, because its id depends on what else the client has. */
  private lastText: EventText = { event: '', data: '' };
  private lastFrame: { readonly sequence: number; readonly frame: Buffer } | undefined;
  private bytes = 0;
  private holders = 0;

  constructor(
    /** Nothing follows under the stream key. */
    readonly isFinal: boolean,
    private readonly encoder: StreamEncoder,
    private readonly budget: ByteBudget,
  ) {}

  /** Makes the parts, one for each step. Throws what JSON throws at data that it cannot carry. */
  *encode(streamKey: string, items: readonly StreamItem[]): Generator<void> {
    for (const json of snapshotParts(items)) {
      this.lastText = this.encoder.text(streamKey, 'snapshot', json);
      const frame = this.encoder.frame(0, this.lastText);
      this.parts.push(frame);
      this.bytes += frame.length;
      this.budget.add(frame.length);
      yield;
    }
  }

  get length(): number {
    return this.parts.length;
  }

  get heldBytes(): number {
    return this.bytes;
  }

  /** The bytes of a part. Only the last one can have an id to resume from. */
  part(index: number, sequence: number): Buffer {
    if (index < this.parts.length - 1 || sequence === 0) return this.parts[index] as Buffer;
    if (this.lastFrame?.sequence !== sequence) {
      this.lastFrame = { sequence, frame: this.encoder.frame(sequence, this.lastText) };
    }
    return this.lastFrame.frame;
  }

  hold(): void {
    this.holders += 1;
  }

  release(): void {
    this.holders -= 1;
    if (this.holders > 0) return;
    this.budget.add(-this.bytes);
    this.bytes = 0;
  }
}
