import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Types } from 'mongoose';
import { canonical } from './canonical.js';

const leaf = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => new Types.ObjectId(bytes)),
);
const document = fc.dictionary(fc.string(), fc.oneof(leaf, fc.array(leaf), fc.dictionary(fc.string(), leaf)));

describe('the canonical text', () => {
  it('does not depend on the order of fields', () => {
    fc.assert(
      fc.property(document, (value) => {
        const reversed = Object.fromEntries(Object.entries(value).toReversed());
        expect(canonical(reversed)).toBe(canonical(value));
      }),
    );
  });

  it('differs where the content differs', () => {
    fc.assert(
      fc.property(document, fc.string(), leaf, leaf, (value, field, one, other) => {
        fc.pre(canonical(one) !== canonical(other));
        expect(canonical({ ...value, [field]: one })).not.toBe(canonical({ ...value, [field]: other }));
      }),
    );
  });

  it.each([
    ['1', 1],
    ['null', null],
    [new Date(0), 'Date(0)'],
    [new Date(0), 0],
    [new Types.ObjectId('0'.repeat(24)), `ObjectId("${'0'.repeat(24)}")`],
    [['a', 'b'], ['a,b']],
    [{ a: 1 }, { a: 1, b: null }],
    [true, 'true'],
  ])('tells %p from %p', (one, other) => {
    expect(canonical(one)).not.toBe(canonical(other));
  });
});
