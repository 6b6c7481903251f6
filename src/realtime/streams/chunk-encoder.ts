const LINE_END = '\r\n';

/** Makes chunks of HTTP/1.1 (RFC 9112, 7.1), and remembers the last one, because the same bytes go to many clients. */
export class ChunkEncoder {
  private bytes: Buffer | undefined;
  private chunk: Buffer = Buffer.alloc(0);

  /** One whole chunk of the bytes, which nobody may change afterwards; throws a RangeError for none: that would be the end of a body. */
  encode(bytes: Buffer): Buffer {
    if (bytes === this.bytes) return this.chunk;
    if (bytes.length === 0) throw new RangeError('a chunk without bytes would end the body');
    const size = bytes.length.toString(16) + LINE_END;
    const chunk = Buffer.allocUnsafe(size.length + bytes.length + LINE_END.length);
    chunk.write(size, 'latin1');
    bytes.copy(chunk, size.length);
    chunk.write(LINE_END, size.length + bytes.length, 'latin1');
    this.bytes = bytes;
    this.chunk = chunk;
    return chunk;
  }
}
