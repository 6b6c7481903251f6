import type { Binary, Code, MaxKey, ObjectId, Timestamp } from 'bson';
import { type Doc, TYPE_ORDER, numberOf, regexParts, typeOf } from './bson-types.js';

const byOrder = (a: number | bigint | string, b: number | bigint | string): number => (a < b ? -1 : a > b ? 1 : 0);

/** NaN equals itself and is less than every other number. Int32, Long and Double are one class, compared exactly. */
function compareNumbers(a: unknown, b: unknown): number {
  const [x, y] = [numberOf(a), numberOf(b)];
  const [xIsNaN, yIsNaN] = [Number.isNaN(x), Number.isNaN(y)];
  if (xIsNaN || yIsNaN) return Number(yIsNaN) - Number(xIsNaN);
  return byOrder(x, y);
}

/** By their UTF-8 bytes, as MongoDB does without a collation; JS compares UTF-16 units, which differs above U+D7FF. */
export function compareStrings(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : x - y;
  }
  return a.length - b.length;
}

function compareFields(a: Array<[string, unknown]>, b: Array<[string, unknown]>): number {
  for (const [i, [aName, aValue]] of a.entries()) {
    const other = b[i];
    if (!other) return 1;
    const [bName, bValue] = other;
    const order =
      TYPE_ORDER[typeOf(aValue)] - TYPE_ORDER[typeOf(bValue)] ||
      compareStrings(aName, bName) ||
      compareValues(aValue, bValue);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareArrays(a: unknown[], b: unknown[]): number {
  for (const [i, value] of a.entries()) {
    if (i >= b.length) return 1;
    const order = compareValues(value, b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareBinary(a: Binary, b: Binary): number {
  return a.position - b.position || a.sub_type - b.sub_type || Buffer.compare(a.value(), b.value());
}

function compareRegex(a: unknown, b: unknown): number {
  const [x, y] = [regexParts(a), regexParts(b)];
  return compareStrings(x.pattern, y.pattern) || compareStrings(x.options, y.options);
}

/**
 * MongoDB's total order of BSON values (manual, "Comparison/Sort Order"): negative, zero or positive.
 * Documents compare field by field in stored order: type, then name, then value.
 */
export function compareValues(a: unknown, b: unknown): number {
  const type = typeOf(a);
  const order = TYPE_ORDER[type] - TYPE_ORDER[typeOf(b)];
  if (order !== 0) return order;
  switch (type) {
    case 'int':
    case 'long':
    case 'double':
      return compareNumbers(a, b);
    case 'string':
      return compareStrings(String(a), String(b));
    case 'object':
      return compareFields(Object.entries(a as Doc), Object.entries(b as Doc));
    case 'array':
      return compareArrays(a as unknown[], b as unknown[]);
    case 'binData':
      return compareBinary(a as Binary, b as Binary);
    case 'objectId':
      return Buffer.compare((a as ObjectId).id, (b as ObjectId).id);
    case 'bool':
      return Number(a) - Number(b);
    case 'date':
      return byOrder((a as Date).getTime(), (b as Date).getTime());
    case 'timestamp':
      return byOrder((a as Timestamp).toBigInt(), (b as Timestamp).toBigInt());
    case 'regex':
      return compareRegex(a, b);
    case 'javascript':
      return compareStrings((a as Code).code, (b as Code).code);
    default:
      return 0;
  }
}

export const valuesEqual = (a: unknown, b: unknown): boolean => compareValues(a, b) === 0;

/** Same place in the comparison order, i.e. comparable by `$gt` and its kin (type bracketing). */
export const sameBracket = (a: unknown, b: unknown): boolean => TYPE_ORDER[typeOf(a)] === TYPE_ORDER[typeOf(b)];

export const isMinOrMaxKey = (value: unknown): value is MaxKey => {
  const type = typeOf(value);
  return type === 'minKey' || type === 'maxKey';
};
