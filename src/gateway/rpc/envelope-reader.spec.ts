import { describe, expect, it } from '@jest/globals';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import fc from 'fast-check';
import { EnvelopeReader } from './envelope-reader.js';

interface Read {
  readonly flags: number;
  readonly hex: string;
}

/** What comes out of `bytes` in pieces of these sizes, over and over. */
function readInPieces(reader: EnvelopeReader, bytes: Buffer, sizes: readonly number[]): Read[] {
  const read: Read[] = [];
  for (let at = 0, n = 0; at < bytes.length; n += 1) {
    const end = at + (sizes[n % sizes.length] ?? 1);
    reader.read(bytes.subarray(at, end), (flags, message) => read.push({ flags, hex: message.toString('hex') }));
    at = end;
  }
  return read;
}

describe('EnvelopeReader', () => {
  it('gives the messages that were sent, in whatever pieces they come', () => {
    const message = fc.record({ flags: fc.integer({ min: 0, max: 3 }), data: fc.uint8Array({ maxLength: 300 }) });
    const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), sizes, fc.nat(20), (messages, pieces, missing) => {
        const bytes = Buffer.concat(messages.map(({ flags, data }) => encodeEnvelope(flags, data)));
        const reader = new EnvelopeReader(300);
        const sent = messages.map(({ flags, data }) => ({ flags, hex: Buffer.from(data).toString('hex') }));
        expect(readInPieces(reader, bytes, pieces)).toEqual(sent);
        expect(reader.isInMessage).toBe(false);
        const cut = bytes.subarray(0, Math.max(0, bytes.length - missing));
        const cutReader = new EnvelopeReader(300);
        const read = readInPieces(cutReader, cut, pieces);
        expect(read).toEqual(sent.slice(0, read.length));
        const readBytes = messages.slice(0, read.length).reduce((sum, { data }) => sum + data.length + 5, 0);
        expect(cutReader.isInMessage).toBe(readBytes < cut.length);
      }),
    );
  });

  it('refuses a message that announces itself as too large, before its bytes are there', () => {
    const reader = new EnvelopeReader(10);
    const head = Buffer.from([0, 0, 0, 0, 11]);
    expect(() => reader.read(head, () => undefined)).toThrow('10 bytes at most (CROWSNEST_GATEWAY_MAX_MESSAGE)');
  });

  it('takes a large message in single bytes', () => {
    const data = new Uint8Array(100_000).fill(7);
    const [read] = readInPieces(new EnvelopeReader(data.length), Buffer.from(encodeEnvelope(0, data)), [1]);
    expect(read?.hex).toBe('07'.repeat(data.length));
  });
});
