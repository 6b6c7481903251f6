import { describe, expect, it } from '@jest/globals';
import { EventSource } from 'eventsource';
import fc from 'fast-check';
import { EventStreamParser } from '../../../../test/support/event-stream-parser.js';
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

interface Received {
  readonly lastEventId: string;
  readonly type: string;
  readonly data: string;
}

/** What the real package makes of a stream of these pieces. */
async function readByEventSource(pieces: readonly Buffer[], types: readonly string[]): Promise<Received[]> {
  const received: Received[] = [];
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) if (piece.length > 0) controller.enqueue(piece);
      controller.close();
    },
  });
  const headers = { 'content-type': 'text/event-stream' };
  const source = new EventSource('http://localhost/', {
    fetch: (input) =>
      Promise.resolve(Object.defineProperty(new Response(body, { headers }), 'url', { value: String(input) })),
  });
  for (const type of new Set(types)) {
    source.addEventListener(type, ({ lastEventId, data }) => received.push({ lastEventId, type, data: String(data) }));
  }
  // The end of the stream, after which it would connect again.
  await new Promise((resolve) => source.addEventListener('error', resolve));
  source.close();
  return received;
}

function cutAt(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  let from = 0;
  const pieces = lengths.map((length) => bytes.subarray(from, (from += length)));
  return [...pieces, bytes.subarray(from)];
}

describe('encodeFrame', () => {
  it('is read alike by the package that clients use, comments and times between, however the bytes are cut', async () => {
    const types = ['node_update', 'snapshot', 'Ünïcode'];
    const block = fc.record({ id: oneLine, event: fc.constantFrom(...types), data: anyText });
    await fc.assert(
      fc.asyncProperty(
        fc.array(block, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat({ max: 40 }), { maxLength: 20 }),
        async (fields, cuts) => {
          const bytes = Buffer.concat([
            encodeFrame({ retry: 3_000 }),
            ...fields.flatMap((each) => [encodeFrame(each), encodeComment('keep-alive')]),
          ]);
          const pieces = cutAt(bytes, cuts);
          const parser = new EventStreamParser();
          for (const piece of pieces) parser.push(piece);
          expect(parser.events).toHaveLength(fields.length);
          expect(await readByEventSource(pieces, types)).toEqual(parser.events);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('makes no event without an id', () => {
    expect(() => encodeFrame({ event: 'node_update', data: '{}' })).toThrow(TypeError);
    expect(() => encodeFrame({ id: '', data: '{}' })).toThrow(TypeError);
  });

  it('lets an id alone move a client forward', () => {
    const parser = new EventStreamParser().push(encodeFrame({ id: 'e.1' })).push(encodeFrame({ id: 'e.2', data: 'x' }));
    expect(parser.events).toEqual([{ lastEventId: 'e.2', type: 'message', data: 'x' }]);
  });

  it('is read back by a parser of the standard, whatever the text and however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ id: oneLine, event: oneLine, data: anyText }), { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat({ max: 40 }), { maxLength: 20 }),
        (fields, cuts) => {
          const bytes = Buffer.concat(fields.map((each) => encodeFrame(each)));
          const parser = new EventStreamParser();
          for (const piece of cutAt(bytes, cuts)) parser.push(piece);
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
      expect(() => encodeFrame({ id: 'e.1', event: bad, data: '' })).toThrow(TypeError);
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
