import { Double, Int32 } from 'bson';
import { arithmeticOrDouble } from './arithmetic.js';
import { compareValues, valuesEqual } from './bson-compare.js';
import { type Doc, isDoc, isNumber, numberOf } from './bson-types.js';
import { isNullish } from './expression-operands.js';
import { CommandError } from '../command-error.js';

/** What a `$group` accumulator makes of the values of one group, in their order; undefined is a missing value. */
export type Accumulator = (values: unknown[]) => unknown;

export function sum(values: unknown[]): unknown {
  let total: unknown = new Int32(0);
  for (const value of values) if (isNumber(value)) total = arithmeticOrDouble('add', total, value);
  return total;
}

export function average(values: unknown[]): unknown {
  const numbers = values.filter(isNumber);
  return numbers.length === 0 ? null : new Double(Number(numberOf(sum(numbers))) / numbers.length);
}

/** Least (`sign` 1) or greatest (-1) of what is not null; null if nothing is. */
export function extreme(sign: 1 | -1, values: unknown[]): unknown {
  let best: unknown = null;
  for (const value of values) {
    if (!isNullish(value) && (best === null || compareValues(value, best) * sign < 0)) best = value;
  }
  return best;
}

export function distinctValues(values: unknown[]): unknown[] {
  const sorted = values
    .map((value, at) => ({ value, at }))
    .sort((a, b) => compareValues(a.value, b.value) || a.at - b.at);
  const kept = sorted.filter((entry, i) => i === 0 || !valuesEqual(entry.value, sorted[i - 1]?.value));
  return kept.sort((a, b) => a.at - b.at).map(({ value }) => value);
}

export function mergeObjects(values: unknown[]): Doc {
  const merged: Doc = {};
  for (const value of values) {
    if (isNullish(value)) continue;
    if (!isDoc(value)) throw new CommandError(40400, '$mergeObjects requires object inputs');
    Object.assign(merged, value);
  }
  return merged;
}

export const ACCUMULATORS: Readonly<Record<string, Accumulator>> = {
  $sum: sum,
  $avg: average,
  $min: (values) => extreme(1, values),
  $max: (values) => extreme(-1, values),
  $first: (values) => values[0] ?? null,
  $last: (values) => values.at(-1) ?? null,
  $push: (values) => values.filter((value) => value !== undefined),
  $addToSet: (values) => distinctValues(values.filter((value) => value !== undefined)),
  $mergeObjects: mergeObjects,
  $count: (values) => new Int32(values.length),
};
