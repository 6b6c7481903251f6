import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { nestingDepth } from './nesting.js';

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe('nestingDepth', () => {
  it('equals the depth of the value for any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => nestingDepth(Buffer.from(JSON.stringify(value))) === depthOf(value)),
    );
  });

  it('is not fooled by brackets and escapes in strings', () => {
    expect(nestingDepth(Buffer.from('["[[[\\"[["]'))).toBe(1);
  });
});
