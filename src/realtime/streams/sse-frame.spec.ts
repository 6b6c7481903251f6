import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EventStreamParser } from '../../../test/support/event-stream-parser.js';
import { encodeComment, encodeFrame } from './sse-frame.js';

const oneLine = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => !/[\r\n\0]/.test(text));
// Text that holds what could be mistaken for framing.
const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\n', '\r', '\r\n', '\n\n', 'id: 1', ':', ' ', 'data:', '\uFEFF'),
    ),
  )
  .map((parts) => parts.join(''));

describe('encodeFrame', () => {
  it('is read back by a parser of the standard, whatever the text and however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ id: oneLine, event: oneLine, data: anyText }), { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat({ max: 40 }), { maxLength: 20 }),
        (fields, cuts) => {
          const bytes = Buffer.concat(fields.map((each) => encodeFrame(each)));
          const parser = new EventStreamParser();
          let from = 0;
          for (const cut of cuts) {
            parser.push(bytes.subarray(from, from + cut));
            from += cut;
          }
          parser.push(bytes.subarray(from));
          expect(parser.events).toEqual(
            fields.map(({ id, event, data }) => ({
              // A parser takes the first space after the colon away and we write exactly one.
              lastEventId: Buffer.from(id).toString(),
              type: Buffer.from(event).toString(),
              data: Buffer.from(data)
                .toString()
                .replaceAll(/\r\n|\r/g, '\n'),
            })),
          );
        },
      ),
    );
  });

  it('refuses to forge a field from a line end or NUL', () => {
    for (const bad of ['a\nb', 'a\rb', 'a\r\nb', 'a\0b']) {
      expect(() => encodeFrame({ id: bad, data: '' })).toThrow(TypeError);
      expect(() => encodeFrame({ event: bad, data: '' })).toThrow(TypeError);
      expect(() => encodeComment(bad)).toThrow(TypeError);
    }
  });

  it('writes the time to come back and comments as a parser takes them', () => {
    const parser = new EventStreamParser();
    parser.push(encodeFrame({ retry: 1_499.7 })).push(encodeComment('keep-alive'));
    expect(parser.retry).toBe(1_500);
    expect(parser.comments).toEqual([' keep-alive']);
    expect(parser.events).toEqual([]);
  });
});
