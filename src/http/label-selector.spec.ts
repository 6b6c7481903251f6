import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { labelFilter, parseLabelSelector } from './label-selector.js';

describe('parseLabelSelector', () => {
  it('reads every form of requirement', () => {
    expect(parseLabelSelector('env=prod, tier!=db,app in (a, b),x notin (c),team,!legacy,example.com/k==v')).toEqual([
      { key: 'env', operator: 'in', values: ['prod'] },
      { key: 'tier', operator: 'notin', values: ['db'] },
      { key: 'app', operator: 'in', values: ['a', 'b'] },
      { key: 'x', operator: 'notin', values: ['c'] },
      { key: 'team', operator: 'exists' },
      { key: 'legacy', operator: 'absent' },
      { key: 'example.com/k', operator: 'in', values: ['v'] },
    ]);
  });

  it('selects everything by an empty text', () => {
    expect(parseLabelSelector(' ')).toEqual([]);
  });

  it.each(['=x', 'a=b c', 'a in b', 'a,b=$c', 'a in (x', '!', '-a=b', 'a/b/c=d', ',', 'a,', 'a,,b', ', a'])(
    'refuses %s by name',
    (text) => {
      expect(() => parseLabelSelector(text)).toThrow(/cannot read/);
    },
  );

  it('ends for every text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        try {
          return Array.isArray(parseLabelSelector(text));
        } catch (error) {
          return error instanceof Error && error.message.startsWith('cannot read');
        }
      }),
    );
  });
});

describe('labelFilter', () => {
  it('lets != match what has no such key, as Kubernetes does', () => {
    expect(labelFilter(parseLabelSelector('tier!=db'))).toEqual({
      $and: [{ labels: { $not: { $elemMatch: { key: 'tier', value: { $in: ['db'] } } } } }],
    });
  });
});
