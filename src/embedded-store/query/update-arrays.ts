import { badValue, typeMismatch } from '../command-error.js';
import { compareValues, valuesEqual } from './bson-compare.js';
import { type Doc, asInteger, asNumber, clone, isDoc, regexParts, typeOf } from './bson-types.js';
import { compileElementTest } from './filter.js';
import { MISSING } from './path.js';
import { compileRegex } from './regex.js';
import { parseSort, sortKey } from './sort.js';
import { type Modify, UNCHANGED } from './update-path.js';

type ArrayUpdate = (argument: unknown, path: string) => () => Modify;

const has = (array: unknown[], value: unknown): boolean => array.some((item) => valuesEqual(item, value));

function each(name: string, argument: unknown, allowed: readonly string[]): { items: unknown[]; modifiers: Doc } {
  if (!isDoc(argument) || !('$each' in argument)) return { items: [argument], modifiers: {} };
  if (!Array.isArray(argument.$each)) throw badValue(`the argument to $each in ${name} must be an array`);
  for (const key of Object.keys(argument)) {
    if (key !== '$each' && !allowed.includes(key)) throw badValue(`unrecognized clause in ${name}: ${key}`);
  }
  return { items: argument.$each as unknown[], modifiers: argument };
}

function requireArray(path: string, current: unknown): asserts current is unknown[] {
  if (!Array.isArray(current)) throw badValue(`the field '${path}' must be an array but is of type ${typeOf(current)}`);
}

function sorter(sort: unknown): (array: unknown[]) => unknown[] {
  if (isDoc(sort)) {
    const fields = parseSort(sort);
    const key = (item: unknown): Buffer => sortKey(isDoc(item) ? item : {}, fields);
    return (array) =>
      array
        .map((item) => ({ item, key: key(item) }))
        .sort((a, b) => a.key.compare(b.key))
        .map(({ item }) => item);
  }
  const direction = asNumber(sort);
  if (direction !== 1 && direction !== -1) throw badValue('the $sort element value must be 1, -1 or a sort document');
  return (array) => array.sort((a, b) => compareValues(a, b) * direction);
}

function modifier(name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const number = asInteger(value);
  if (number === undefined) throw badValue(`the value for ${name} must be a whole number`);
  return number;
}

const push: ArrayUpdate = (argument, path) => {
  const { items, modifiers } = each('$push', argument, ['$slice', '$sort', '$position']);
  const slice = modifier('$slice', modifiers.$slice);
  const position = modifier('$position', modifiers.$position);
  const sort = '$sort' in modifiers ? sorter(modifiers.$sort) : undefined;
  return () => (current) => {
    if (current !== MISSING) requireArray(path, current);
    const array = current === MISSING ? [] : [...(current as unknown[])];
    const at = position === undefined ? array.length : position < 0 ? Math.max(0, array.length + position) : position;
    array.splice(at, 0, ...items.map(clone));
    const sorted = sort ? sort(array) : array;
    return slice === undefined ? sorted : slice >= 0 ? sorted.slice(0, slice) : sorted.slice(slice);
  };
};

const addToSet: ArrayUpdate = (argument, path) => {
  const { items } = each('$addToSet', argument, []);
  return () => (current) => {
    if (current !== MISSING) requireArray(path, current);
    const array = current === MISSING ? [] : [...(current as unknown[])];
    for (const item of items) if (!has(array, item)) array.push(clone(item));
    return array;
  };
};

const pop: ArrayUpdate = (argument, path) => {
  const end = asNumber(argument);
  if (end !== 1 && end !== -1) throw badValue(`$pop of '${path}' expects 1 or -1`);
  return () => (current) => {
    if (current === MISSING) return UNCHANGED;
    if (!Array.isArray(current))
      throw typeMismatch(`path '${path}' contains an element of non-array type '${typeOf(current)}'`);
    return end === 1 ? current.slice(0, -1) : current.slice(1);
  };
};

function removing(path: string, matches: (item: unknown) => boolean): () => Modify {
  return () => (current) => {
    if (current === MISSING) return UNCHANGED;
    if (!Array.isArray(current)) throw badValue(`cannot apply $pull to the non-array value of '${path}'`);
    return current.filter((item) => !matches(item));
  };
}

function pullTest(argument: unknown): (item: unknown) => boolean {
  if (isDoc(argument)) return compileElementTest(argument, {});
  if (typeOf(argument) !== 'regex') return (item) => valuesEqual(item, argument);
  const { pattern, options } = regexParts(argument);
  const regex = compileRegex(pattern, options);
  return (item) => typeof item === 'string' && regex.test(item);
}

const pullAll: ArrayUpdate = (argument, path) => {
  if (!Array.isArray(argument)) throw badValue(`$pullAll of '${path}' requires an array argument`);
  return removing(path, (item) => has(argument, item));
};

export const ARRAY_UPDATES: Readonly<Record<'$push' | '$addToSet' | '$pop' | '$pull' | '$pullAll', ArrayUpdate>> = {
  $push: push,
  $addToSet: addToSet,
  $pop: pop,
  $pull: (argument, path) => removing(path, pullTest(argument)),
  $pullAll: pullAll,
};
