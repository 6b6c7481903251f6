import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compareValues } from '../query/bson-compare.js';
import { bsonValues } from '../testing/bson-arbitraries.js';
import { afterPrefix, encodeFields, encodeKey } from './key-encoding.js';

const RUNS = { numRuns: 3000 };

describe('index keys', () => {
  it('compare as bytes in the order of the values', () => {
    fc.assert(
      fc.property(bsonValues, bsonValues, (a, b) => {
        expect(Math.sign(encodeKey(a).compare(encodeKey(b)))).toBe(Math.sign(compareValues(a, b)));
      }),
      RUNS,
    );
  });

  it('compare field by field when joined, each in its direction', () => {
    const direction = fc.constantFrom<1 | -1>(1, -1);
    fc.assert(
      fc.property(
        fc.tuple(bsonValues, bsonValues),
        fc.tuple(bsonValues, bsonValues),
        direction,
        direction,
        (a, b, d1, d2) => {
          const key = ([x, y]: [unknown, unknown]): Buffer =>
            encodeFields([x, y], [{ direction: d1 }, { direction: d2 }]);
          const expected = compareValues(a[0], b[0]) * d1 || compareValues(a[1], b[1]) * d2 || 0;
          expect(Math.sign(key(a).compare(key(b)))).toBe(Math.sign(expected));
        },
      ),
      RUNS,
    );
  });

  it('bound everything with a prefix by the key after it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (prefix, rest) => {
        const after = afterPrefix(prefix);
        const key = Buffer.concat([prefix, rest]);
        if (after) expect(key.compare(after)).toBeLessThan(0);
        else expect(prefix.every((byte) => byte === 0xff)).toBe(true);
      }),
    );
  });
});

describe('the order of BSON values', () => {
  it('is transitive and antisymmetric', () => {
    fc.assert(
      fc.property(bsonValues, bsonValues, bsonValues, (a, b, c) => {
        expect(Math.sign(compareValues(a, b))).toBe(-Math.sign(compareValues(b, a)) + 0);
        // In boxes, for JS sorts undefined last whatever the comparator says.
        const [x, y, z] = [[a], [b], [c]].sort(compareValues);
        expect(compareValues(x, z)).toBeLessThanOrEqual(0);
        expect(compareValues(x, y)).toBeLessThanOrEqual(0);
      }),
      RUNS,
    );
  });
});
