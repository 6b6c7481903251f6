import { type Doc, TYPE_ORDER, asNumber, regexParts, typeOf } from './bson-types.js';
import { isMinOrMaxKey } from './bson-compare.js';
import type { Leaf } from './filter.js';
import { afterPrefix, encodeKey, invert } from '../storage/key-encoding.js';

/** Values of one field in ascending key bytes. The ends are prefixes: "inclusive" takes all keys that start with them. */
export interface Interval {
  readonly low: Buffer;
  readonly isLowIncluded: boolean;
  readonly high: Buffer;
  readonly isHighIncluded: boolean;
}

export interface Bounds {
  readonly intervals: readonly Interval[];
  /** Every interval is one value. */
  readonly arePoints: boolean;
  /** On a field without arrays the intervals hold exactly the matches. */
  readonly isExact: boolean;
}

const point = (bytes: Buffer): Interval => ({ low: bytes, isLowIncluded: true, high: bytes, isHighIncluded: true });

/** Missing fields and nulls share a key; an undefined value has its own. */
const NULL_POINTS: readonly Interval[] = [point(encodeKey(undefined)), point(encodeKey(null))];

function equality(value: unknown): Bounds | undefined {
  const type = typeOf(value);
  if (type === 'array' || type === 'regex') return undefined;
  if (type === 'null' || type === 'undefined') return { intervals: NULL_POINTS, arePoints: true, isExact: false };
  return { intervals: [point(encodeKey(value))], arePoints: true, isExact: true };
}

function inList(values: unknown): Bounds | undefined {
  if (!Array.isArray(values)) return undefined;
  const points = new Map<string, Interval>();
  let isExact = true;
  for (const value of values as unknown[]) {
    const bounds = equality(value);
    if (!bounds) return undefined;
    isExact &&= bounds.isExact;
    for (const interval of bounds.intervals) points.set(interval.low.toString('latin1'), interval);
  }
  const intervals = [...points.values()].sort((a, b) => a.low.compare(b.low));
  return { intervals, arePoints: true, isExact };
}

function range(operator: string, value: unknown): Bounds | undefined {
  const type = typeOf(value);
  if (
    type === 'null' ||
    type === 'undefined' ||
    type === 'array' ||
    isMinOrMaxKey(value) ||
    Number.isNaN(asNumber(value))
  )
    return undefined;
  const bracket = Buffer.from([TYPE_ORDER[type]]);
  const bytes = encodeKey(value);
  // NaN sorts below all numbers and is not less than any.
  const isNumber = TYPE_ORDER[type] === TYPE_ORDER.int;
  const least = isNumber ? encodeKey(NaN) : bracket;
  const interval: Interval =
    operator === '$gt' || operator === '$gte'
      ? { low: bytes, isLowIncluded: operator === '$gte', high: bracket, isHighIncluded: true }
      : { low: least, isLowIncluded: !isNumber, high: bytes, isHighIncluded: operator === '$lte' };
  return { intervals: [interval], arePoints: false, isExact: true };
}

/** Strings that start with the literal text after `^`. */
function regexPrefix(operand: unknown): Bounds | undefined {
  const { pattern, options } = typeof operand === 'string' ? { pattern: operand, options: '' } : regexParts(operand);
  const literal = /^\^([\w \-/:@]+)/.exec(pattern)?.[1];
  if (literal === undefined || options !== '' || pattern.includes('|')) return undefined;
  const isOptional = /[*?{]/.test(pattern.charAt(literal.length + 1));
  const text = isOptional ? literal.slice(0, -1) : literal;
  const prefix = encodeKey(text).subarray(0, -2);
  // A regex value equal to the operand matches as well.
  const self = typeOf(operand) === 'regex' ? [point(encodeKey(operand))] : [];
  return { intervals: [point(prefix), ...self], arePoints: false, isExact: false };
}

/** The part of an index that a condition needs, or undefined if it needs all of it. */
export function boundsOf(leaf: Leaf): Bounds | undefined {
  switch (leaf.operator) {
    case '$eq':
      return equality(leaf.operand);
    case '$in':
      return inList(leaf.operand);
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return range(leaf.operator, leaf.operand);
    case '$regex':
      return regexPrefix(leaf.operand);
    case '$exists':
      return leaf.test({} satisfies Doc) ? { intervals: NULL_POINTS, arePoints: true, isExact: false } : undefined;
    default:
      return undefined;
  }
}

function intersection(a: Interval, b: Interval): Interval {
  const low = lowEnd(a).compare(lowEnd(b)) >= 0 ? a : b;
  const high = highEnd(a).compare(highEnd(b)) <= 0 ? a : b;
  return { low: low.low, isLowIncluded: low.isLowIncluded, high: high.high, isHighIncluded: high.isHighIncluded };
}

const END = Buffer.from([0xff]);
const lowEnd = (interval: Interval): Buffer =>
  interval.isLowIncluded ? interval.low : (afterPrefix(interval.low) ?? END);
const highEnd = (interval: Interval): Buffer =>
  interval.isHighIncluded ? (afterPrefix(interval.high) ?? END) : interval.high;

/** Bounds of several conditions on a field without arrays; the tightest that is simple. */
export function combine(all: readonly Bounds[]): Bounds | undefined {
  const points = all.filter((bounds) => bounds.arePoints).sort((a, b) => a.intervals.length - b.intervals.length);
  const [first] = points;
  if (first) return all.length === 1 ? first : { ...first, isExact: false };
  const ranges = all.filter((bounds) => bounds.intervals.length === 1);
  if (ranges.length === 0) return all[0];
  const interval = ranges.map((bounds) => bounds.intervals[0] as Interval).reduce(intersection);
  return {
    intervals: [interval],
    arePoints: false,
    isExact: ranges.length === all.length && all.every((bounds) => bounds.isExact),
  };
}

/** Key bytes `from <= key < to` in an index, below a prefix of earlier fields. */
export function keyRange(prefix: Buffer, interval: Interval, direction: 1 | -1): { from: Buffer; to: Buffer } {
  const [low, isLowIncluded, high, isHighIncluded] =
    direction === 1
      ? [interval.low, interval.isLowIncluded, interval.high, interval.isHighIncluded]
      : [invert(interval.high), interval.isHighIncluded, invert(interval.low), interval.isLowIncluded];
  const [from, to] = [Buffer.concat([prefix, low]), Buffer.concat([prefix, high])];
  return {
    from: isLowIncluded ? from : (afterPrefix(from) ?? END),
    to: isHighIncluded ? (afterPrefix(to) ?? END) : to,
  };
}
