import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bsonValues } from '../testing/bson-arbitraries.js';
import { type Doc, decode, encode } from './bson-types.js';
import { compileProjection } from './projection.js';
import { compileRawProjection } from './raw-projection.js';

const NAMES = ['_id', 'a', 'ab', 'b', 'é', 'payload'];
const documents = fc.dictionary(fc.constantFrom(...NAMES), bsonValues);
const specs = fc
  .record({ fields: fc.subarray(NAMES.slice(1)), kept: fc.constantFrom<unknown>(0, 1, true, false), id: fc.boolean() })
  .map(({ fields, kept, id }): Doc => {
    const spec = Object.fromEntries(fields.map((field) => [field, kept]));
    return fields.length === 0 || !id ? { ...spec, _id: id } : spec;
  });

describe('a projection of whole fields', () => {
  it('gives from the bytes what the projection of the decoded document gives', () => {
    fc.assert(
      fc.property(documents, specs, (document, given) => {
        const spec = decode(encode(given));
        const stored = encode(document);
        const expected = encode(compileProjection(spec, true)(decode(stored)));
        const projected = compileRawProjection(spec)?.(stored) ?? new Uint8Array();
        expect(Buffer.from(projected).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
      }),
      { numRuns: 2000 },
    );
  });

  it.each<Doc>([{ 'a.b': 1 }, { a: 1, b: 0 }, { a: { $slice: 1 } }, { a: '$b' }, { $a: 1 }])(
    'leaves %j to the projection of documents',
    (spec) => {
      expect(compileRawProjection(decode(encode(spec)))).toBeUndefined();
    },
  );
});
