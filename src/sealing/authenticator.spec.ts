import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Authenticator } from './authenticator.js';
import { parseSealingKey } from './sealing-key.js';

const newKey = () => parseSealingKey(randomBytes(32).toString('base64'));

describe('authentication tags', () => {
  const [old, fresh] = [newKey(), newKey()];
  const authenticator = new Authenticator([old], 'audit');

  it('prove exactly the text they were made for', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (text, other) => {
        expect(authenticator.check(other, authenticator.tag(text))).toBe(text === other ? 'valid' : 'invalid');
      }),
    );
  });

  it('prove nothing for another purpose', () => {
    expect(new Authenticator([old], 'other').check('a', authenticator.tag('a'))).toBe('invalid');
  });

  it('stay valid after a new key was put in front, and are undecided once theirs is gone', () => {
    const tag = authenticator.tag('a');
    const rotated = new Authenticator([fresh, old], 'audit');
    expect([rotated.check('a', tag), rotated.tag('a') === tag]).toEqual(['valid', false]);
    expect(new Authenticator([fresh], 'audit').check('a', tag)).toBe('unknown-key');
  });

  it.each([
    undefined,
    null,
    7,
    '',
    'v1',
    'v2.00000000.x',
    `${authenticator.tag('a')}A`,
    authenticator.tag('a').slice(1),
  ])('are not %p', (tag) => {
    expect(authenticator.check('a', tag)).toBe('invalid');
  });
});
