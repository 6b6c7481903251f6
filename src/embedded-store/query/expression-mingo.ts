import { Long } from 'bson';
import { Context, ProcessingMode, evalExpr } from 'mingo/core';
import * as operators from 'mingo/operators/expression';
import { CommandError } from '../command-error.js';
import { type Doc, isDoc, numberOf, isNumber, setField, wrapNumber } from './bson-types.js';

/** What the library does in MongoDB's way on plain strings, dates and numbers; everything else is this store's own. */
const NAMES = new Set(
  (
    '$dateAdd $dateSubtract $dateDiff $dateTrunc $dateToString $dateFromString $dateToParts $dateFromParts $year $month $dayOfMonth ' +
    '$dayOfWeek $dayOfYear $hour $minute $second $millisecond $week $isoWeek $isoWeekYear $isoDayOfWeek ' +
    '$split $trim $ltrim $rtrim $replaceOne $replaceAll $regexMatch $regexFind $regexFindAll $indexOfCP $strLenCP $strLenBytes ' +
    '$strcasecmp $substr $substrBytes $substrCP $toLower $toUpper $sqrt $pow $exp $ln $log $log10 $sin $cos $tan'
  ).split(' '),
);

const available = Object.entries(operators).filter(([name]) => NAMES.has(name));

const options = {
  idKey: '_id',
  processingMode: ProcessingMode.CLONE_OFF,
  useStrictMode: true,
  scriptEnabled: false,
  failOnError: true,
  context: Context.init({ expression: Object.fromEntries(available) as Parameters<Context['addExpressionOps']>[0] }),
};

export const isMingoOperator = (name: string): boolean => available.some(([known]) => known === name);

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (isNumber(value)) {
    const number = numberOf(value);
    return value instanceof Long && Number.isSafeInteger(Number(number)) ? Number(number) : number;
  }
  if (!isDoc(value)) return value;
  const copy: Doc = {};
  for (const [name, field] of Object.entries(value)) setField(copy, name, plain(field));
  return copy;
}

function wrapped(value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'bigint') return wrapNumber(value);
  if (Array.isArray(value)) return value.map(wrapped);
  if (!isDoc(value)) return value;
  const copy: Doc = {};
  for (const [name, field] of Object.entries(value)) setField(copy, name, wrapped(field));
  return copy;
}

/** Applies an operator of mingo to `call`, whose field paths name `values`. */
export function callMingo(name: string, call: unknown, values: Doc): unknown {
  try {
    return wrapped(evalExpr(plain(values), { [name]: call }, options));
  } catch (error) {
    throw new CommandError(2, `${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
