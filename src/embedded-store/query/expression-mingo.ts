import { Double, Long } from 'bson';
import type * as MingoCore from 'mingo/core';
import type * as MingoOperators from 'mingo/operators/expression';
import { createRequire } from 'node:module';
import { CommandError } from '../command-error.js';
import { type Doc, isDoc, numberOf, isNumber, setField, wrapNumber } from './bson-types.js';

/** What the library does in MongoDB's way on plain strings, dates and numbers; everything else is this store's own. */
const NAMES = new Set(
  (
    '$dateDiff $dateTrunc $dateToString $dateFromString $dateToParts $dateFromParts $year $month $dayOfMonth ' +
    '$dayOfWeek $dayOfYear $hour $minute $second $millisecond $week $isoWeek $isoWeekYear $isoDayOfWeek ' +
    '$split $trim $ltrim $rtrim $replaceOne $replaceAll $regexMatch $regexFind $regexFindAll $indexOfCP $strLenCP $strLenBytes ' +
    '$strcasecmp $substr $substrBytes $substrCP $toLower $toUpper $sqrt $pow $exp $ln $log $log10 $sin $cos $tan'
  ).split(' '),
);

/** Whole results of these are Doubles all the same. */
const DOUBLE_RESULT = new Set('$sqrt $exp $ln $log $log10 $sin $cos $tan'.split(' '));

type Evaluate = (values: unknown, expression: Doc) => unknown;

let evaluate: Evaluate | undefined;

/** Loaded when first needed: the library takes some 10 MB, and most stores never meet one of these operators. */
function load(): Evaluate {
  const require = createRequire(import.meta.url);
  const { Context, ProcessingMode, evalExpr } = require('mingo/core') as typeof MingoCore;
  const operators = require('mingo/operators/expression') as typeof MingoOperators;
  const available = Object.fromEntries(Object.entries(operators).filter(([name]) => NAMES.has(name)));
  const options = {
    idKey: '_id',
    processingMode: ProcessingMode.CLONE_OFF,
    useStrictMode: true,
    scriptEnabled: false,
    failOnError: true,
    context: Context.init({ expression: available as Parameters<MingoCore.Context['addExpressionOps']>[0] }),
  };
  return (values, expression) => evalExpr(values, expression, options);
}

export const isMingoOperator = (name: string): boolean => NAMES.has(name);

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
    evaluate ??= load();
    const result = evaluate(plain(values), { [name]: call });
    return typeof result === 'number' && DOUBLE_RESULT.has(name) ? new Double(result) : wrapped(result);
  } catch (error) {
    throw new CommandError(2, `${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
