import { tooLarge } from './too-large.js';

/** Flags and the length of what follows. https://connectrpc.com/docs/protocol#streaming-request */
const HEAD_BYTES = 5;

/** Takes messages out of the bytes of a stream, in whatever pieces they come. Keeps nothing between messages. */
export class EnvelopeReader {
  /** Begins with a message that has not come to its end; has room for more. */
  private begun: Buffer | undefined;
  private filled = 0;

  constructor(private readonly maxBytes: number) {}

  /** Whether a message has begun and not ended. */
  get isInMessage(): boolean {
    return this.begun !== undefined;
  }

  /**
   * @param take is given each whole message; its bytes hold during the call
   * @throws ConnectError `resource_exhausted` for a message that announces itself as too large
   */
  read(chunk: Buffer, take: (flags: number, message: Buffer) => void): void {
    const bytes = this.begun === undefined ? chunk : this.append(this.begun, chunk);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = bytes.readUInt32BE(at + 1);
      if (length > this.maxBytes) {
        throw tooLarge(this.maxBytes);
      }
      const end = at + HEAD_BYTES + length;
      if (end > bytes.length) break;
      take(bytes.readUInt8(at), bytes.subarray(at + HEAD_BYTES, end));
      at = end;
    }
    this.keep(bytes.subarray(at), at === 0);
  }

  /** Doubles its room, so that a message in many small pieces costs no more than its size. */
  private append(begun: Buffer, chunk: Buffer): Buffer {
    const needed = this.filled + chunk.length;
    let room = begun;
    if (room.length < needed) {
      room = Buffer.allocUnsafe(Math.max(needed, room.length * 2));
      begun.copy(room, 0, 0, this.filled);
    }
    chunk.copy(room, this.filled);
    this.begun = room;
    this.filled = needed;
    return room.subarray(0, needed);
  }

  private keep(rest: Buffer, isWhole: boolean): void {
    if (isWhole && this.begun !== undefined) return;
    this.begun = rest.length === 0 ? undefined : Buffer.from(rest);
    this.filled = rest.length;
  }
}
