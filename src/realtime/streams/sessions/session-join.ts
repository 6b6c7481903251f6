import type { ChannelSnapshot } from '../channels/channel-snapshot.js';
import type { SessionReader } from './session-reader.js';

/** How far a session is with the snapshots of its channels, which it awaits and writes one after the other. */
export class SessionJoin {
  /** Channels whose snapshot is written. */
  private joined = 0;
  private snapshot: ChannelSnapshot | undefined;
  private written = 0;

  constructor(private readonly readers: readonly SessionReader[]) {}

  /** Bytes that are kept until they are written. */
  get heldBytes(): number {
    return this.snapshot?.heldBytes ?? 0;
  }

  begin(): void {
    this.joined = 0;
    for (const reader of this.readers) reader.isComplete = false;
    this.readers[0]?.requestSnapshot();
  }

  /** The snapshot that was awaited. */
  take(snapshot: ChannelSnapshot): void {
    snapshot.hold();
    this.snapshot = snapshot;
    this.written = 0;
  }

  /** Whether the next part is the last of the last snapshot: with it the client has a state. */
  get isAtEnd(): boolean {
    return this.joined === this.readers.length - 1 && this.isAtLastPart;
  }

  /** The next part, with the sequence in its id if it is the last; `undefined` while it is awaited. */
  part(sequence: number): Buffer | undefined {
    return this.snapshot?.part(this.written, sequence);
  }

  /** The part was written. Returns whether it was the last of its snapshot. */
  advance(): boolean {
    const isLast = this.isAtLastPart;
    this.written += 1;
    if (!isLast) return false;
    const reader = this.readers[this.joined];
    if (reader) reader.isComplete = this.snapshot?.isFinal ?? false;
    this.letGo();
    this.joined += 1;
    this.readers[this.joined]?.requestSnapshot();
    return true;
  }

  letGo(): void {
    this.snapshot?.release();
    this.snapshot = undefined;
  }

  private get isAtLastPart(): boolean {
    return this.snapshot !== undefined && this.written === this.snapshot.length - 1;
  }
}
