import { describe, expect, it } from '@jest/globals';
import { matchesSelector, readLabelSelector } from './label-selector.js';

const labels = { app: 'web', tier: 'front' };
const one = (operator: string, key: string, values: readonly string[] = []) => ({
  matchExpressions: [{ key, operator, values }],
});

const rows: readonly [string, unknown, boolean][] = [
  ['an empty selector', {}, true],
  ['equal labels', { matchLabels: { app: 'web', tier: 'front' } }, true],
  ['one other label', { matchLabels: { app: 'web', tier: 'back' } }, false],
  ['a missing label', { matchLabels: { zone: 'a' } }, false],
  ['a name every object has', { matchLabels: { toString: 'x' } }, false],
  ['In, listed', one('In', 'app', ['db', 'web']), true],
  ['In, not listed', one('In', 'app', ['db']), false],
  ['In, missing', one('In', 'zone', ['']), false],
  ['NotIn, listed', one('NotIn', 'app', ['web']), false],
  ['NotIn, not listed', one('NotIn', 'app', ['db']), true],
  ['NotIn, missing', one('NotIn', 'zone', ['a']), true],
  ['Exists', one('Exists', 'app'), true],
  ['Exists, missing', one('Exists', 'zone'), false],
  ['DoesNotExist', one('DoesNotExist', 'app'), false],
  ['DoesNotExist, missing', one('DoesNotExist', 'zone'), true],
  ['an operator nobody knows', one('Near', 'app', ['web']), false],
];

describe('matchesSelector', () => {
  it.each(rows)('%s', (_, selector, expected) => {
    expect(matchesSelector(readLabelSelector(selector), labels)).toBe(expected);
  });

  it('finds nothing but the absent on a pod without labels', () => {
    expect(matchesSelector(readLabelSelector({ matchLabels: { app: 'web' } }), null)).toBe(false);
    expect(matchesSelector(readLabelSelector(one('DoesNotExist', 'app')), null)).toBe(true);
    expect(matchesSelector(readLabelSelector({}), null)).toBe(true);
  });
});
