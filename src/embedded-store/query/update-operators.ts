import { Int32, Timestamp } from 'bson';
import { CommandError, badValue, failedToParse, typeMismatch } from '../command-error.js';
import { type Arithmetic, arithmetic } from './arithmetic.js';
import { compareValues } from './bson-compare.js';
import { clone, isDoc, isNumber, typeOf } from './bson-types.js';
import { ARRAY_UPDATES } from './update-arrays.js';
import { MISSING, arrayIndex, plainValue } from './path.js';
import { type Modify, UNCHANGED, type UpdateContext, modifyPath } from './update-path.js';

/** One operator on one path. `apply` changes the document in place. */
export interface UpdateStep {
  readonly parts: readonly string[];
  readonly apply: (doc: Record<string, unknown>, context: UpdateContext) => void;
}

/** Makes the modification of one field from the operator's argument. */
export type UpdateOperator = (argument: unknown, path: string) => (context: UpdateContext) => Modify;

const numeric =
  (name: string, operation: Arithmetic): UpdateOperator =>
  (argument, path) => {
    if (!isNumber(argument))
      throw typeMismatch(`cannot ${name} with non-numeric argument: {${path}: ${typeOf(argument)}}`);
    return () => (current) => {
      if (current === MISSING) return operation === 'add' ? argument : arithmetic('multiply', argument, new Int32(0));
      if (!isNumber(current))
        throw typeMismatch(`cannot apply ${name} to '${path}', a value of non-numeric type ${typeOf(current)}`);
      const result = arithmetic(operation, current, argument);
      if (!result) throw badValue(`failed to apply ${name} to '${path}': the result does not fit 64 bits`);
      return result;
    };
  };

const extreme =
  (sign: 1 | -1): UpdateOperator =>
  (argument) =>
  () =>
  (current) =>
    current === MISSING || compareValues(argument, current) * sign < 0 ? clone(argument) : UNCHANGED;

const currentDate: UpdateOperator = (argument, path) => {
  const type = isDoc(argument) ? argument.$type : argument === true || argument === false ? 'date' : undefined;
  if (type !== 'date' && type !== 'timestamp')
    throw badValue(`$currentDate of '${path}' needs true or {$type: 'date' | 'timestamp'}`);
  return ({ now }) =>
    () =>
      type === 'date' ? now : new Timestamp({ t: Math.floor(now.getTime() / 1000), i: 1 });
};

/** Operators that may make the documents on the way to their field. */
const CREATING: Readonly<Record<string, UpdateOperator>> = {
  $set: (argument) => () => () => clone(argument),
  $setOnInsert:
    (argument) =>
    ({ isInsert }) =>
    () =>
      isInsert ? clone(argument) : UNCHANGED,
  $inc: numeric('$inc', 'add'),
  $mul: numeric('$mul', 'multiply'),
  $min: extreme(1),
  $max: extreme(-1),
  $currentDate: currentDate,
  $push: ARRAY_UPDATES.$push,
  $addToSet: ARRAY_UPDATES.$addToSet,
};

const NOT_CREATING: Readonly<Record<string, UpdateOperator>> = {
  $unset: () => () => () => MISSING,
  $pop: ARRAY_UPDATES.$pop,
  $pull: ARRAY_UPDATES.$pull,
  $pullAll: ARRAY_UPDATES.$pullAll,
};

/** Throws BadValue for a path to an array element, PathNotViable (28) for one through a value that has no fields. */
function requireRenamable(doc: Record<string, unknown>, parts: readonly string[], end: string): void {
  for (const [i, part] of parts.entries()) {
    const parent = i === 0 ? doc : plainValue(doc, parts.slice(0, i));
    if (parent === MISSING || isDoc(parent)) continue;
    if (Array.isArray(parent) && arrayIndex(part) !== undefined) {
      throw badValue(`the ${end} field of $rename cannot be an array element: '${parts.join('.')}'`);
    }
    throw new CommandError(
      28,
      `cannot use the part '${part}' of '${parts.join('.')}' to traverse the element: it is no document`,
    );
  }
}

function renameSteps(from: readonly string[], to: readonly string[]): UpdateStep[] {
  const apply = (doc: Record<string, unknown>, context: UpdateContext): void => {
    requireRenamable(doc, from, 'source');
    const value = plainValue(doc, from);
    if (value === MISSING) return;
    requireRenamable(doc, to, 'destination');
    modifyPath(doc, from, context, () => MISSING, false);
    modifyPath(doc, to, context, () => value, true);
  };
  return [
    { parts: from, apply: () => undefined },
    { parts: to, apply },
  ];
}

/** The steps of `{operator: {path: argument}}`. Throws FailedToParse (9) for an unknown operator. */
export function updateSteps(operator: string, fields: unknown, parse: (path: string) => string[]): UpdateStep[] {
  const creates = operator in CREATING;
  const make = CREATING[operator] ?? NOT_CREATING[operator];
  if (!make && operator !== '$rename') throw failedToParse(`unknown modifier: ${operator}`);
  if (!isDoc(fields)) throw failedToParse(`modifiers operate on fields, but ${operator} was given a ${typeOf(fields)}`);
  return Object.entries(fields).flatMap(([path, argument]): UpdateStep[] => {
    const parts = parse(path);
    if (!make) {
      if (typeof argument !== 'string') throw badValue(`the 'to' field of $rename must be a string, for '${path}'`);
      if (path.includes('$') || argument.includes('$')) throw badValue('$rename takes no positional operator');
      if (argument === path) throw badValue(`the source and target field of $rename must differ: '${path}'`);
      return renameSteps(parts, parse(argument));
    }
    const modification = make(argument, path);
    // $setOnInsert on an existing document must not make parents either.
    const apply = (doc: Record<string, unknown>, context: UpdateContext): void => {
      if (operator === '$setOnInsert' && !context.isInsert) return;
      modifyPath(doc, parts, context, modification(context), creates);
    };
    return [{ parts, apply }];
  });
}

export function idChanged(): CommandError {
  return new CommandError(66, "performing an update on the path '_id' would modify the immutable field '_id'");
}
