import { describe, expect, it } from '@jest/globals';
import { Double, Int32, Long } from 'bson';
import { compileExpression } from './expression.js';

const NOW = new Date('2030-01-31T10:20:30.456Z');
const DOC = {
  i: new Int32(7),
  l: Long.fromNumber(2),
  d: new Double(1.5),
  s: ' Ab ',
  at: NOW,
  list: [{ v: new Int32(1) }, { v: new Int32(3) }],
};
const evaluate = (expression: unknown): unknown => compileExpression(expression)(DOC, { NOW });

describe('expressions', () => {
  const cases: Array<[unknown, unknown]> = [
    [{ $add: ['$i', 1] }, new Int32(8)],
    [{ $add: ['$i', '$l'] }, Long.fromNumber(9)],
    [{ $multiply: ['$i', '$d'] }, new Double(10.5)],
    [{ $add: [2147483647, 1] }, Long.fromNumber(2147483648)],
    [{ $subtract: ['$$NOW', '$at'] }, Long.fromNumber(0)],
    [{ $divide: ['$i', 2] }, new Double(3.5)],
    [{ $mod: ['$i', 4] }, new Int32(3)],
    [{ $cmp: ['$i', '$missing'] }, new Int32(1)],
    [{ $cond: [{ $gt: ['$i', '$d'] }, 'more', 'less'] }, 'more'],
    [{ $switch: { branches: [JSON.parse('{"case": {"$eq": ["$i", 1]}, "then": "a"}')], default: 'b' } }, 'b'],
    [{ $ifNull: ['$missing', null, '$i'] }, new Int32(7)],
    ['$list.v', [new Int32(1), new Int32(3)]],
    [{ $sum: '$list.v' }, new Int32(4)],
    [{ $map: { input: '$list', as: 'e', in: { $add: ['$$e.v', 1] } } }, [new Int32(2), new Int32(4)]],
    [{ $filter: { input: '$list.v', cond: { $gt: ['$$this', 1] } } }, [new Int32(3)]],
    [{ $reduce: { input: '$list.v', initialValue: 0, in: { $add: ['$$value', '$$this'] } } }, new Int32(4)],
    [{ $mergeObjects: [{ a: 1 }, { b: '$i' }] }, { a: 1, b: new Int32(7) }],
    [{ $concat: ['a', { $toString: '$i' }] }, 'a7'],
    [{ $convert: { input: 'x', to: 'int', onError: 'no' } }, 'no'],
    [{ $type: '$l' }, 'long'],
    [{ $type: '$missing' }, 'missing'],
    [{ $let: { vars: { a: '$i' }, in: { $add: ['$$a', '$$a'] } } }, new Int32(14)],
    // By the library.
    [{ $trim: { input: '$s' } }, 'Ab'],
    [{ $toUpper: '$s' }, ' AB '],
    [{ $split: ['a-b', '-'] }, ['a', 'b']],
    [{ $year: '$at' }, new Int32(2030)],
    [{ $dateAdd: { startDate: '$at', unit: 'month', amount: 1 } }, new Date('2030-02-28T10:20:30.456Z')],
    [{ $dateTrunc: { date: '$at', unit: 'hour' } }, new Date('2030-01-31T10:00:00.000Z')],
    [{ $dateDiff: { startDate: '$at', endDate: { $add: ['$at', 3_600_000] }, unit: 'minute' } }, new Int32(60)],
    [{ $regexMatch: { input: '$s', regex: 'ab', options: 'i' } }, true],
    [{ $sqrt: 9 }, new Double(3)],
  ];
  it.each(cases)('evaluate %j', (expression, expected) => {
    expect(evaluate(expression)).toEqual(expected);
  });

  it('refuse an operator that is not known, a variable that is not set, and two operators in one object', () => {
    const code = (expression: unknown): unknown => {
      try {
        return evaluate(expression);
      } catch (error) {
        return (error as { code?: unknown }).code;
      }
    };
    expect(code({ $bogus: 1 })).toBe(168);
    expect(code('$$unknown')).toBe(17276);
    expect(code({ $add: [1, 2], $subtract: [1, 2] })).toBe(15983);
    expect(code({ $add: ['$s', 1] })).toBe(14);
  });
});
