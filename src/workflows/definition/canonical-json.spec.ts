import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson } from './canonical-json.js';

describe('canonicalJson', () => {
  it('does not depend on the order of keys', () => {
    expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1}]}');
  });

  it('loses nothing', () => {
    // `__proto__` is refused before, by checkStructure.
    const value = fc.jsonValue().filter((each) => !JSON.stringify(each).includes('__proto__'));
    fc.assert(
      fc.property(value, (each) => expect(JSON.parse(canonicalJson(each))).toEqual(JSON.parse(JSON.stringify(each)))),
    );
  });
});
