import { BSONRegExp, ObjectId } from 'bson';
import { badValue } from '../command-error.js';
import { compareValues, isMinOrMaxKey, sameBracket, valuesEqual } from './bson-compare.js';
import {
  type BsonType,
  type Doc,
  TYPE_NUMBERS,
  asNumber,
  isDoc,
  isNumber,
  numberOf,
  regexParts,
  typeOf,
} from './bson-types.js';
import { MISSING } from './path.js';
import { compileRegex } from './regex.js';

/** A condition on the values found at a path. */
export interface ValueTest {
  readonly test: (value: unknown) => boolean;
  /** Whether an array's elements are tried too. */
  readonly expands: boolean;
  /** Whether the condition holds when no value passes. */
  readonly isNegated: boolean;
}

const positive = (test: (value: unknown) => boolean, expands = true): ValueTest => ({
  test,
  expands,
  isNegated: false,
});
const negative = (of: ValueTest): ValueTest => ({ ...of, isNegated: true });

/** `{a: null}` also matches a document without `a`. */
export function equalityTest(operand: unknown): ValueTest {
  const type = typeOf(operand);
  if (type === 'null' || type === 'undefined') {
    return positive((value) => value === MISSING || value === null || value === undefined);
  }
  return positive((value) => value !== MISSING && valuesEqual(value, operand));
}

function rangeTest(operand: unknown, accepts: (order: number) => boolean): ValueTest {
  const type = typeOf(operand);
  if (type === 'regex') throw badValue("can't have a regex as argument of a comparison");
  if (type === 'null' || type === 'undefined') return accepts(0) ? equalityTest(null) : positive(() => false);
  if (isMinOrMaxKey(operand)) return positive((value) => value !== MISSING && accepts(compareValues(value, operand)));
  const operandIsNaN = Number.isNaN(asNumber(operand));
  return positive((value) => {
    if (value === MISSING || !sameBracket(value, operand)) return false;
    // NaN is ordered with nothing, and equal to itself.
    if (operandIsNaN || Number.isNaN(asNumber(value))) return accepts(0) && valuesEqual(value, operand);
    return accepts(compareValues(value, operand));
  });
}

function inTest(operator: string, operand: unknown): ValueTest {
  if (!Array.isArray(operand)) throw badValue(`${operator} needs an array`);
  // Lists of ids and of names may be long: they are looked up, the rest is compared one by one.
  const known = new Set<string>();
  const tests: ValueTest[] = [];
  for (const item of operand as unknown[]) {
    if (isDoc(item) && Object.keys(item)[0]?.startsWith('$')) throw badValue(`cannot nest $ under ${operator}`);
    const key = lookupKey(item);
    if (key !== undefined) known.add(key);
    else tests.push(typeOf(item) === 'regex' ? compileOperator('$regex', item) : equalityTest(item));
  }
  return positive((value) => {
    const key = known.size > 0 ? lookupKey(value) : undefined;
    return (key !== undefined && known.has(key)) || tests.some((each) => each.test(value));
  });
}

/** Equal for equal strings and for equal object ids, and for nothing else. */
function lookupKey(value: unknown): string | undefined {
  if (typeof value === 'string') return `s${value}`;
  return value instanceof ObjectId ? `i${value.toHexString()}` : undefined;
}

function regexTest(operand: unknown): ValueTest {
  const parts =
    typeof operand === 'string'
      ? { pattern: operand, options: '' }
      : typeOf(operand) === 'regex'
        ? regexParts(operand)
        : undefined;
  if (!parts) throw badValue('$regex has to be a string');
  const regex = compileRegex(parts.pattern, parts.options);
  return positive(
    (value) =>
      (typeof value === 'string' && regex.test(value)) ||
      (value !== MISSING && typeOf(value) === 'regex' && typeOf(operand) === 'regex' && valuesEqual(value, operand)),
  );
}

/** The types a `$type` argument names: number, alias, `number`, or an array of these. */
function typesOf(operand: unknown): Set<BsonType> {
  const found = new Set<BsonType>();
  for (const item of Array.isArray(operand) ? (operand as unknown[]) : [operand]) {
    const code = asNumber(item);
    const names = Object.entries(TYPE_NUMBERS).filter(([name, number]) =>
      code === undefined ? name === item : number === code,
    );
    if (item === 'number') for (const name of ['int', 'long', 'double'] as const) found.add(name);
    else if (names.length === 0) throw badValue(`unknown type name alias or code: ${String(item)}`);
    for (const [name] of names) found.add(name as BsonType);
  }
  return found;
}

function sizeTest(operand: unknown): ValueTest {
  const size = asNumber(operand);
  if (size === undefined || !Number.isInteger(size) || size < 0)
    throw badValue('$size must be a non-negative whole number');
  return positive((value) => Array.isArray(value) && value.length === size, false);
}

function modTest(operand: unknown): ValueTest {
  if (!Array.isArray(operand) || operand.length !== 2) throw badValue('malformed mod, it needs divisor and remainder');
  const [divisor, remainder] = (operand as unknown[]).map((item) => {
    const number = asNumber(item);
    if (number === undefined || !Number.isFinite(number))
      throw badValue('malformed mod, divisor and remainder must be numbers');
    return BigInt(Math.trunc(number));
  });
  if (divisor === undefined || divisor === 0n) throw badValue('divisor cannot be 0');
  return positive((value) => {
    if (value === MISSING || !isNumber(value)) return false;
    const number = numberOf(value);
    if (typeof number === 'number' && !Number.isFinite(number)) return false;
    return (typeof number === 'bigint' ? number : BigInt(Math.trunc(number))) % divisor === remainder;
  });
}

/** Throws BadValue for an unknown operator or a wrong operand. */
export function compileOperator(operator: string, operand: unknown): ValueTest {
  switch (operator) {
    case '$eq':
      return equalityTest(operand);
    case '$ne':
      if (typeOf(operand) === 'regex') throw badValue("can't have a regex as argument of $ne");
      return negative(equalityTest(operand));
    case '$gt':
      return rangeTest(operand, (order) => order > 0);
    case '$gte':
      return rangeTest(operand, (order) => order >= 0);
    case '$lt':
      return rangeTest(operand, (order) => order < 0);
    case '$lte':
      return rangeTest(operand, (order) => order <= 0);
    case '$in':
      return inTest('$in', operand);
    case '$nin':
      return negative(inTest('$nin', operand));
    case '$exists': {
      const exists = positive((value) => value !== MISSING, false);
      return operand === undefined || operand === null || operand === false || asNumber(operand) === 0
        ? negative(exists)
        : exists;
    }
    case '$type': {
      const types = typesOf(operand);
      return positive((value) => value !== MISSING && types.has(typeOf(value)));
    }
    case '$regex':
      return regexTest(operand);
    case '$size':
      return sizeTest(operand);
    case '$mod':
      return modTest(operand);
    default:
      throw badValue(`unknown operator: ${operator}`);
  }
}

/** Joins `$regex` and `$options` into one operator. Throws BadValue for `$options` alone. */
export function splitRegexOptions(operators: Doc): Array<[string, unknown]> {
  const entries = Object.entries(operators);
  if (!('$options' in operators)) return entries;
  if (!('$regex' in operators)) throw badValue('$options needs a $regex');
  const { $regex, $options } = operators;
  if (typeof $options !== 'string') throw badValue('$options has to be a string');
  const pattern =
    typeof $regex === 'string' ? $regex : typeOf($regex) === 'regex' ? regexParts($regex).pattern : undefined;
  if (pattern === undefined) throw badValue('$regex has to be a string');
  compileRegex(pattern, $options);
  return entries
    .filter(([name]) => name !== '$options')
    .map(([name, operand]) => [name, name === '$regex' ? new BSONRegExp(pattern, $options) : operand]);
}
