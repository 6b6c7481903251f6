import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bsonValues } from '../testing/bson-arbitraries.js';
import { type Doc, decode, encode } from './bson-types.js';
import { compileProjection } from './projection.js';
import { compileRawProjection } from './raw-projection.js';

const NAMES = ['_id', 'a', 'ab', 'b', 'é', 'payload'];
const documents = fc.dictionary(fc.constantFrom(...NAMES), bsonValues);
const specs = fc.dictionary(fc.constantFrom(...NAMES), fc.constantFrom<unknown>(0, 1, true, false));

describe('a projection of whole fields', () => {
  it('gives from the bytes what the projection of the decoded document gives', () => {
    let compared = 0;
    fc.assert(
      fc.property(documents, specs, (document, spec) => {
        const raw = compileRawProjection(decode(encode(spec)));
        if (!raw || Object.keys(spec).length === 0) return;
        compared += 1;
        const stored = encode(document);
        const expected = encode(compileProjection(decode(encode(spec)), true)(decode(stored)));
        expect(Buffer.from(raw(stored)).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
      }),
      { numRuns: 2000 },
    );
    expect(compared).toBeGreaterThan(500);
  });

  it.each<Doc>([{ 'a.b': 1 }, { a: 1, b: 0 }, { a: { $slice: 1 } }, { a: '$b' }, { $a: 1 }])(
    'leaves %j to the projection of documents',
    (spec) => {
      expect(compileRawProjection(decode(encode(spec)))).toBeUndefined();
    },
  );
});
