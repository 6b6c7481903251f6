import { Int32 } from 'bson';
import { CommandError } from '../command-error.js';
import { ACCUMULATORS, distinctValues, mergeObjects } from './accumulators.js';
import { compareValues, valuesEqual } from './bson-compare.js';
import { type Doc, asInteger, isDoc, isTruthy, setField, typeOf } from './bson-types.js';
import { isNullish, named, operands, withVariable } from './expression-operands.js';
import type { OperatorCompiler } from './compiled-expression.js';

const MANY: [number, number] = [0, 1000];

function requireArray(code: number, name: string, value: unknown): asserts value is unknown[] {
  if (!Array.isArray(value)) throw new CommandError(code, `${name} needs an array, not ${typeOf(value)}`);
}

function elementAt(array: unknown, index: unknown): unknown {
  if (isNullish(array) || isNullish(index)) return null;
  requireArray(28689, '$arrayElemAt', array);
  const at = asInteger(index);
  if (at === undefined) throw new CommandError(28690, '$arrayElemAt needs a whole number as index');
  return array.at(at);
}

function slice(array: unknown, a: unknown, b: unknown): unknown {
  if (isNullish(array) || a === null || b === null) return null;
  requireArray(28724, '$slice', array);
  const [first, count] = [asInteger(a), b === undefined ? undefined : asInteger(b)];
  if (first === undefined) throw new CommandError(28725, '$slice needs whole numbers');
  if (b === undefined) return first >= 0 ? array.slice(0, first) : array.slice(first);
  if (count === undefined || count <= 0) throw new CommandError(28729, '$slice needs a positive count');
  const start = first < 0 ? Math.max(0, array.length + first) : first;
  return array.slice(start, start + count);
}

const mapOperator = named('$map', ['input', 'in'], ['as'], (operand, raw) => {
  const [input, body] = [operand('input'), operand('in')];
  const as = typeof raw.as === 'string' ? raw.as : 'this';
  return (root, variables) => {
    const array = input(root, variables);
    if (isNullish(array)) return null;
    requireArray(16883, '$map', array);
    return array.map((item) => body(root, withVariable(variables, as, item)) ?? null);
  };
});

const filterOperator = named('$filter', ['input', 'cond'], ['as', 'limit'], (operand, raw) => {
  const [input, test, limit] = [operand('input'), operand('cond'), operand('limit')];
  const as = typeof raw.as === 'string' ? raw.as : 'this';
  return (root, variables) => {
    const array = input(root, variables);
    if (isNullish(array)) return null;
    requireArray(28651, '$filter', array);
    const kept = array.filter((item) => isTruthy(test(root, withVariable(variables, as, item))));
    const most = limit(root, variables);
    return isNullish(most) ? kept : kept.slice(0, asInteger(most) ?? 0);
  };
});

const reduceOperator = named('$reduce', ['input', 'initialValue', 'in'], [], (operand) => {
  const [input, start, body] = [operand('input'), operand('initialValue'), operand('in')];
  return (root, variables) => {
    const array = input(root, variables);
    if (isNullish(array)) return null;
    requireArray(40080, '$reduce', array);
    let value = start(root, variables);
    for (const item of array) value = body(root, { ...variables, value, this: item });
    return value;
  };
});

/** Accumulators as expressions take a list, or one array; in an array only numbers or non-nulls count. */
const accumulating = (name: string): OperatorCompiler =>
  operands(name, MANY, (...values) => {
    const [only] = values;
    return ACCUMULATORS[name]?.(values.length === 1 && Array.isArray(only) ? (only as unknown[]) : values);
  });

function toPairs(value: unknown): unknown {
  if (isNullish(value)) return null;
  if (!isDoc(value)) throw new CommandError(40390, '$objectToArray requires a document');
  return Object.entries(value).map(([k, v]) => ({ k, v }));
}

function fromPairs(value: unknown): unknown {
  if (isNullish(value)) return null;
  requireArray(40386, '$arrayToObject', value);
  const result: Doc = {};
  for (const pair of value) {
    const [k, v] = Array.isArray(pair) ? (pair as unknown[]) : isDoc(pair) ? [pair.k, pair.v] : [];
    if (typeof k !== 'string') throw new CommandError(40395, '$arrayToObject needs pairs with a string key');
    setField(result, k, v ?? null);
  }
  return result;
}

function setOperands(name: string, values: unknown[]): unknown[][] | undefined {
  if (values.some(isNullish)) return undefined;
  for (const value of values) requireArray(17041, name, value);
  return values as unknown[][];
}

const has = (array: unknown[], value: unknown): boolean => array.some((item) => valuesEqual(item, value));

function indexOf(array: unknown, value: unknown): unknown {
  if (isNullish(array)) return null;
  requireArray(40090, '$indexOfArray', array);
  return new Int32(array.findIndex((item) => valuesEqual(item, value)));
}

function sortArray(array: unknown, by: unknown): unknown {
  if (isNullish(array)) return null;
  requireArray(2942504, '$sortArray', array);
  if (!isDoc(by)) return [...array].sort((a, b) => compareValues(a, b) * (asInteger(by) ?? 1));
  const fields = Object.entries(by);
  return [...array].sort((a, b) => {
    for (const [name, direction] of fields) {
      const order = compareValues((a as Doc)?.[name], (b as Doc)?.[name]) * (asInteger(direction) ?? 1);
      if (order !== 0) return order;
    }
    return 0;
  });
}

export const ARRAY_OPERATORS: Readonly<Record<string, OperatorCompiler>> = {
  $arrayElemAt: operands('$arrayElemAt', 2, elementAt),
  $first: operands('$first', 1, (array) => elementAt(array, new Int32(0))),
  $last: operands('$last', 1, (array) => elementAt(array, new Int32(-1))),
  $slice: operands('$slice', [2, 3], slice),
  $size: operands('$size', 1, (array) => {
    requireArray(17124, '$size', array);
    return new Int32(array.length);
  }),
  $in: operands('$in', 2, (value, array) => {
    requireArray(40081, '$in', array);
    return has(array, value);
  }),
  $isArray: operands('$isArray', 1, (value) => Array.isArray(value)),
  $indexOfArray: operands('$indexOfArray', 2, indexOf),
  $concatArrays: operands('$concatArrays', MANY, (...arrays) => setOperands('$concatArrays', arrays)?.flat() ?? null),
  $reverseArray: operands('$reverseArray', 1, (array) => {
    if (isNullish(array)) return null;
    requireArray(34435, '$reverseArray', array);
    return [...array].reverse();
  }),
  $map: mapOperator,
  $filter: filterOperator,
  $reduce: reduceOperator,
  $sortArray: named('$sortArray', ['input', 'sortBy'], [], (operand, raw) => {
    const input = operand('input');
    return (root, variables) => sortArray(input(root, variables), raw.sortBy);
  }),
  $objectToArray: operands('$objectToArray', 1, toPairs),
  $arrayToObject: operands('$arrayToObject', 1, fromPairs),
  $mergeObjects: operands('$mergeObjects', MANY, (...values) => mergeObjects(values)),
  $setUnion: operands('$setUnion', MANY, (...arrays) => {
    const sets = setOperands('$setUnion', arrays);
    return sets ? distinctValues(sets.flat()) : null;
  }),
  $setIntersection: operands('$setIntersection', MANY, (...arrays) => {
    const sets = setOperands('$setIntersection', arrays);
    return sets ? distinctValues(sets[0] ?? []).filter((value) => sets.every((set) => has(set, value))) : null;
  }),
  $setDifference: operands('$setDifference', 2, (...arrays) => {
    const [from, minus] = setOperands('$setDifference', arrays) ?? [];
    return from && minus ? distinctValues(from).filter((value) => !has(minus, value)) : null;
  }),
  $setIsSubset: operands('$setIsSubset', 2, (...arrays) => {
    const [part, whole] = setOperands('$setIsSubset', arrays) ?? [];
    if (!part || !whole) throw new CommandError(17046, '$setIsSubset needs two arrays');
    return part.every((value) => has(whole, value));
  }),
  $anyElementTrue: operands('$anyElementTrue', 1, (array) => Array.isArray(array) && array.some(isTruthy)),
  $allElementsTrue: operands('$allElementsTrue', 1, (array) => Array.isArray(array) && array.every(isTruthy)),
  $sum: accumulating('$sum'),
  $avg: accumulating('$avg'),
  $min: accumulating('$min'),
  $max: accumulating('$max'),
};
