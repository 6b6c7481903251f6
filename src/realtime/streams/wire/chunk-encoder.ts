const LINE_END = '\r\n';
/** Clients that are equally far behind get the same bytes; others get others in between. */
const REMEMBERED = 8;

/** Makes chunks of HTTP/1.1 (RFC 9112, 7.1), and remembers the newest, because the same bytes go to many clients. */
export class ChunkEncoder {
  private readonly bytes: Buffer[] = [];
  private readonly chunks: Buffer[] = [];
  private newest = REMEMBERED - 1;

  /** One whole chunk of the bytes, which nobody may change afterwards; throws a RangeError for none: that would be the end of a body. */
  encode(bytes: Buffer): Buffer {
    // The most frequent case costs no search.
    const place = this.bytes[this.newest] === bytes ? this.newest : this.bytes.indexOf(bytes);
    if (place < 0) return this.remember(bytes, makeChunk(bytes));
    return this.chunks[place] as Buffer;
  }

  private remember(bytes: Buffer, chunk: Buffer): Buffer {
    this.newest = (this.newest + 1) % REMEMBERED;
    this.bytes[this.newest] = bytes;
    this.chunks[this.newest] = chunk;
    return chunk;
  }
}

function makeChunk(bytes: Buffer): Buffer {
  if (bytes.length === 0) throw new RangeError('a chunk without bytes would end the body');
  const size = bytes.length.toString(16) + LINE_END;
  const chunk = Buffer.allocUnsafe(size.length + bytes.length + LINE_END.length);
  chunk.write(size, 'latin1');
  bytes.copy(chunk, size.length);
  chunk.write(LINE_END, size.length + bytes.length, 'latin1');
  return chunk;
}
