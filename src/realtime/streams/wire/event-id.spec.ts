import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatEventId, parseEventId } from './event-id.js';

const epoch = fc.stringMatching(/^[0-9a-f]{1,32}$/);

describe('event ids', () => {
  it('are read as they were written, by their own epoch only', () => {
    fc.assert(
      fc.property(epoch, epoch, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (own, other, sequence) => {
        const id = formatEventId(own, sequence);
        expect(parseEventId(id, own)).toBe(sequence);
        if (other !== own) expect(parseEventId(id, other)).toBeUndefined();
      }),
    );
  });

  it('are nothing else, and nothing throws', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[0a.+ \n-]{0,12}$/));
    fc.assert(
      fc.property(text, (given) => {
        const sequence = parseEventId(given, 'a');
        if (sequence !== undefined) expect(given).toBe(formatEventId('a', sequence));
      }),
    );
    expect(parseEventId('a.9007199254740993', 'a')).toBeUndefined();
    expect(parseEventId(undefined, 'a')).toBeUndefined();
    expect(parseEventId(formatEventId('a', 0), 'a')).toBeUndefined();
  });
});
