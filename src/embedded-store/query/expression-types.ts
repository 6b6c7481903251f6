import { Double, Int32, ObjectId } from 'bson';
import { CommandError } from '../command-error.js';
import { integer } from './arithmetic.js';
import { isNumber, isTruthy, numberOf, typeOf } from './bson-types.js';
import { isNullish, named, operands } from './expression-operands.js';
import type { OperatorCompiler } from './compiled-expression.js';

function refuse(value: unknown, to: string): never {
  throw new CommandError(241, `cannot convert a value of type ${typeOf(value)} to ${to} in $convert`);
}

function toText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof ObjectId) return value.toHexString();
  return isNumber(value) ? String(numberOf(value)) : refuse(value, 'string');
}

function toWhole(value: unknown, isNarrow: boolean): unknown {
  const to = isNarrow ? 'int' : 'long';
  let whole: bigint;
  if (typeof value === 'boolean') whole = value ? 1n : 0n;
  else if (value instanceof Date && !isNarrow) whole = BigInt(value.getTime());
  else if (typeof value === 'string' && /^[+-]?\d+$/.test(value)) whole = BigInt(value.replace(/^\+/, ''));
  else if (isNumber(value) && Number.isFinite(Number(numberOf(value)))) {
    const number = numberOf(value);
    whole = typeof number === 'bigint' ? number : BigInt(Math.trunc(number));
  } else return refuse(value, to);
  const result = isNarrow ? integer(whole, true) : integer(whole, false);
  return result === undefined || (isNarrow && !(result instanceof Int32)) ? refuse(value, to) : result;
}

function toDouble(value: unknown): unknown {
  if (typeof value === 'boolean') return new Double(value ? 1 : 0);
  if (value instanceof Date) return new Double(value.getTime());
  if (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value)))
    return new Double(Number(value));
  return isNumber(value) ? new Double(Number(numberOf(value))) : refuse(value, 'double');
}

function toDate(value: unknown): unknown {
  if (value instanceof Date) return value;
  if (value instanceof ObjectId) return value.getTimestamp();
  const time =
    typeof value === 'string'
      ? Date.parse(value)
      : isNumber(value) && typeOf(value) !== 'int'
        ? Number(numberOf(value))
        : NaN;
  return Number.isNaN(time) ? refuse(value, 'date') : new Date(time);
}

function toObjectId(value: unknown): unknown {
  if (value instanceof ObjectId) return value;
  return typeof value === 'string' && /^[0-9a-f]{24}$/i.test(value) ? new ObjectId(value) : refuse(value, 'objectId');
}

const CONVERSIONS: Readonly<Record<string, (value: unknown) => unknown>> = {
  string: toText,
  int: (value) => toWhole(value, true),
  long: (value) => toWhole(value, false),
  double: toDouble,
  bool: isTruthy,
  date: toDate,
  objectId: toObjectId,
};

const conversion = (name: string, to: string): OperatorCompiler =>
  operands(name, 1, (value) => (isNullish(value) ? null : CONVERSIONS[to]?.(value)));

const convert = named('$convert', ['input', 'to'], ['onError', 'onNull'], (operand, raw) => {
  const [input, to, onError, onNull] = [operand('input'), operand('to'), operand('onError'), operand('onNull')];
  return (root, variables) => {
    const value = input(root, variables);
    if (isNullish(value)) return onNull(root, variables) ?? null;
    const target = to(root, variables);
    const apply = typeof target === 'string' ? CONVERSIONS[target] : undefined;
    if (!apply) throw new CommandError(2, `unknown type name in $convert: ${String(target)}`);
    try {
      return apply(value);
    } catch (error) {
      if ('onError' in raw && error instanceof CommandError) return onError(root, variables);
      throw error;
    }
  };
});

export const TYPE_OPERATORS: Readonly<Record<string, OperatorCompiler>> = {
  $type: operands('$type', 1, (value) => (value === undefined ? 'missing' : typeOf(value))),
  $isNumber: operands('$isNumber', 1, (value) => isNumber(value)),
  $convert: convert,
  $toString: conversion('$toString', 'string'),
  $toInt: conversion('$toInt', 'int'),
  $toLong: conversion('$toLong', 'long'),
  $toDouble: conversion('$toDouble', 'double'),
  $toBool: conversion('$toBool', 'bool'),
  $toDate: conversion('$toDate', 'date'),
  $toObjectId: conversion('$toObjectId', 'objectId'),
  $concat: operands('$concat', [0, 1000], (...values) => {
    if (values.some(isNullish)) return null;
    for (const value of values) {
      if (typeof value !== 'string')
        throw new CommandError(16702, `$concat only supports strings, not ${typeOf(value)}`);
    }
    return values.join('');
  }),
};
