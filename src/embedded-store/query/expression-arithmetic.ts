import { Double, Int32, Long } from 'bson';
import { CommandError, typeMismatch } from '../command-error.js';
import { type Arithmetic, arithmeticOrDouble, integer } from './arithmetic.js';
import { isNumber, numberOf, typeOf } from './bson-types.js';
import { isNullish, operands } from './expression-operands.js';
import type { OperatorCompiler } from './compiled-expression.js';

function requireNumber(name: string, value: unknown): void {
  if (!isNumber(value)) throw typeMismatch(`${name} only supports numeric types, not ${typeOf(value)}`);
}

/** A date and numbers: milliseconds are added to the date. */
function addAll(values: unknown[]): unknown {
  if (values.some(isNullish)) return null;
  const dates = values.filter((value) => value instanceof Date);
  if (dates.length > 1) throw new CommandError(16612, 'only one date allowed in an $add expression');
  let sum: unknown = new Int32(0);
  for (const value of values) {
    if (value instanceof Date) continue;
    requireNumber('$add', value);
    sum = arithmeticOrDouble('add', sum, value);
  }
  const [date] = dates;
  return date ? new Date(date.getTime() + Math.round(Number(numberOf(sum)))) : sum;
}

function subtract(a: unknown, b: unknown): unknown {
  if (isNullish(a) || isNullish(b)) return null;
  if (a instanceof Date && b instanceof Date) return Long.fromNumber(a.getTime() - b.getTime());
  if (a instanceof Date && isNumber(b)) return new Date(a.getTime() - Math.round(Number(numberOf(b))));
  requireNumber('$subtract', a);
  requireNumber('$subtract', b);
  return arithmeticOrDouble('subtract', a, b);
}

function fold(name: string, operation: Arithmetic, start: Int32, values: unknown[]): unknown {
  if (values.some(isNullish)) return null;
  let result: unknown = start;
  for (const value of values) {
    requireNumber(name, value);
    result = arithmeticOrDouble(operation, result, value);
  }
  return result;
}

function divide(a: unknown, b: unknown): unknown {
  if (isNullish(a) || isNullish(b)) return null;
  requireNumber('$divide', a);
  requireNumber('$divide', b);
  if (Number(numberOf(b)) === 0) throw new CommandError(2, "can't $divide by zero");
  return new Double(Number(numberOf(a)) / Number(numberOf(b)));
}

function mod(a: unknown, b: unknown): unknown {
  if (isNullish(a) || isNullish(b)) return null;
  requireNumber('$mod', a);
  requireNumber('$mod', b);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (Number(y) === 0) throw new CommandError(16610, "can't $mod by zero");
  if (typeOf(a) === 'double' || typeOf(b) === 'double') return new Double(Number(x) % Number(y));
  return integer(BigInt(x) % BigInt(y), typeOf(a) === 'int' && typeOf(b) === 'int');
}

/** A function of doubles that leaves whole types as they are. */
const rounding = (name: string, round: (value: number) => number): OperatorCompiler =>
  operands(name, 1, (value) => {
    if (isNullish(value)) return null;
    requireNumber(name, value);
    return typeOf(value) === 'double' ? new Double(round(Number(numberOf(value)))) : value;
  });

function abs(value: unknown): unknown {
  if (isNullish(value)) return null;
  requireNumber('$abs', value);
  const number = numberOf(value);
  if (typeOf(value) === 'double') return new Double(Math.abs(Number(number)));
  const whole = BigInt(number);
  return integer(whole < 0n ? -whole : whole, typeOf(value) === 'int');
}

/** Half to even, as MongoDB's `$round`. */
function roundTo(name: string, value: unknown, places: unknown): unknown {
  if (isNullish(value)) return null;
  requireNumber(name, value);
  if (typeOf(value) !== 'double' && (places === undefined || Number(numberOf(places)) >= 0)) return value;
  const factor = 10 ** (places === undefined ? 0 : Number(numberOf(places)));
  const scaled = Number(numberOf(value)) * factor;
  const floor = Math.floor(scaled);
  const nearest = scaled - floor === 0.5 ? floor + (floor % 2 === 0 ? 0 : 1) : Math.round(scaled);
  const result = (name === '$trunc' ? Math.trunc(scaled) : nearest) / factor;
  return typeOf(value) === 'double' ? new Double(result) : integer(BigInt(Math.round(result)), typeOf(value) === 'int');
}

const MANY: [number, number] = [0, 1000];

export const ARITHMETIC_OPERATORS: Readonly<Record<string, OperatorCompiler>> = {
  $add: operands('$add', MANY, (...values) => addAll(values)),
  $subtract: operands('$subtract', 2, subtract),
  $multiply: operands('$multiply', MANY, (...values) => fold('$multiply', 'multiply', new Int32(1), values)),
  $divide: operands('$divide', 2, divide),
  $mod: operands('$mod', 2, mod),
  $abs: operands('$abs', 1, abs),
  $ceil: rounding('$ceil', Math.ceil),
  $floor: rounding('$floor', Math.floor),
  $round: operands('$round', [1, 2], (value, places) => roundTo('$round', value, places)),
  $trunc: operands('$trunc', [1, 2], (value, places) => roundTo('$trunc', value, places)),
};
