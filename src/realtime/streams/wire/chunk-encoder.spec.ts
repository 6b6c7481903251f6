import { describe, expect, it } from '@jest/globals';
import { ChunkEncoder } from './chunk-encoder.js';

describe('ChunkEncoder', () => {
  it('frames bytes as a chunk of HTTP/1.1, whose size is in bytes and hexadecimal', () => {
    const encoder = new ChunkEncoder();
    expect(encoder.encode(Buffer.from('grün')).toString()).toBe('5\r\ngrün\r\n');
    expect(encoder.encode(Buffer.alloc(300, 'x')).toString()).toBe(`12c\r\n${'x'.repeat(300)}\r\n`);
  });

  it('gives the same chunk for the same bytes, and never that of others', () => {
    const encoder = new ChunkEncoder();
    const [one, other] = [Buffer.from('one'), Buffer.from('other')];
    const chunk = encoder.encode(one);
    expect(encoder.encode(one)).toBe(chunk);
    expect(encoder.encode(other).toString()).toBe('5\r\nother\r\n');
    expect(encoder.encode(one)).toBe(chunk);
  });

  it('forgets what is long past', () => {
    const encoder = new ChunkEncoder();
    const old = Buffer.from('old');
    const chunk = encoder.encode(old);
    for (let index = 0; index < 8; index += 1) encoder.encode(Buffer.from(`${index}`));
    expect(encoder.encode(old)).not.toBe(chunk);
    expect(encoder.encode(old)).toEqual(chunk);
  });

  it('refuses to make the chunk that ends a body', () => {
    expect(() => new ChunkEncoder().encode(Buffer.alloc(0))).toThrow(RangeError);
  });
});
