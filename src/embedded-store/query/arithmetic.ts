import { Double, Int32, Long } from 'bson';
import { type BsonType, numberOf, typeOf } from './bson-types.js';

const INT32_MIN = -2147483648n;
const INT32_MAX = 2147483647n;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

export type Arithmetic = 'add' | 'subtract' | 'multiply';

const ON_DOUBLES: Record<Arithmetic, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
};

const ON_INTEGERS: Record<Arithmetic, (a: bigint, b: bigint) => bigint> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
};

const WIDTH: Partial<Record<BsonType, number>> = { int: 1, long: 2, double: 3 };

/** The whole number as Int32 (if allowed and it fits) or Long; undefined beyond 64 bits. */
export function integer(value: bigint, isNarrow: boolean): Int32 | Long | undefined {
  if (isNarrow && value >= INT32_MIN && value <= INT32_MAX) return new Int32(Number(value));
  return value >= INT64_MIN && value <= INT64_MAX ? Long.fromBigInt(value) : undefined;
}

/**
 * The result has the wider type of the two: Int32 < Long < Double. Int32 grows to Long when it overflows;
 * undefined when a Long overflows, which `$inc` refuses and expressions answer with a Double.
 */
export function arithmetic(operation: Arithmetic, a: unknown, b: unknown): Int32 | Long | Double | undefined {
  const width = Math.max(WIDTH[typeOf(a)] ?? 0, WIDTH[typeOf(b)] ?? 0);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (width === 3) return new Double(ON_DOUBLES[operation](Number(x), Number(y)));
  return integer(ON_INTEGERS[operation](BigInt(x), BigInt(y)), width === 1);
}

/** As `arithmetic`, with a Double where 64 bits do not suffice. */
export function arithmeticOrDouble(operation: Arithmetic, a: unknown, b: unknown): Int32 | Long | Double {
  return arithmetic(operation, a, b) ?? new Double(ON_DOUBLES[operation](Number(numberOf(a)), Number(numberOf(b))));
}
