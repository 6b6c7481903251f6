import { CommandError } from '../command-error.js';
import { compareValues } from './bson-compare.js';
import { type Doc, isDoc, isTruthy, setField } from './bson-types.js';
import { Int32 } from 'bson';
import { isNullish, named, operands } from './expression-operands.js';
import type { OperatorCompiler } from './compiled-expression.js';

const comparison = (name: string, accepts: (order: number) => boolean): OperatorCompiler =>
  operands(name, 2, (a, b) => accepts(compareMissing(a, b)));

/** A missing value sorts below null; both are below every other type but MinKey. */
function compareMissing(a: unknown, b: unknown): number {
  return compareValues(a, b);
}

const list = (argument: unknown): unknown[] => (Array.isArray(argument) ? (argument as unknown[]) : [argument]);

const cond: OperatorCompiler = (argument, compile) => {
  const parts = Array.isArray(argument)
    ? (argument as unknown[])
    : isDoc(argument) &&
        'if' in argument &&
        'then' in argument &&
        'else' in argument &&
        Object.keys(argument).length === 3
      ? [argument.if, argument.then, argument.else]
      : [];
  if (parts.length !== 3) throw new CommandError(16020, '$cond takes if, then and else');
  const [test, yes, no] = parts.map(compile);
  return (root, variables) => (isTruthy(test?.(root, variables)) ? yes : no)?.(root, variables);
};

const switchOperator: OperatorCompiler = (argument, compile) => {
  if (!isDoc(argument) || !Array.isArray(argument.branches) || argument.branches.length === 0) {
    throw new CommandError(40068, '$switch needs at least one branch');
  }
  const branches = argument.branches.map((branch: unknown) => {
    if (!isDoc(branch) || !('case' in branch) || !('then' in branch))
      throw new CommandError(40067, '$switch branches need case and then');
    return { test: compile(branch.case), result: compile(branch.then) };
  });
  const otherwise = 'default' in argument ? compile(argument.default) : undefined;
  return (root, variables) => {
    const branch = branches.find(({ test }) => isTruthy(test(root, variables)));
    if (branch) return branch.result(root, variables);
    if (!otherwise) throw new CommandError(40066, '$switch could not find a matching branch, and no default was given');
    return otherwise(root, variables);
  };
};

const letOperator: OperatorCompiler = (argument, compile) => {
  if (!isDoc(argument) || !isDoc(argument.vars) || !('in' in argument))
    throw new CommandError(16874, '$let needs vars and in');
  const vars = Object.entries(argument.vars).map(([name, value]) => [name, compile(value)] as const);
  const body = compile(argument.in);
  return (root, variables) => {
    const inner: Doc = { ...variables };
    for (const [name, evaluate] of vars) inner[name] = evaluate(root, variables);
    return body(root, inner);
  };
};

export const CONTROL_OPERATORS: Readonly<Record<string, OperatorCompiler>> = {
  $literal: (argument) => () => argument,
  $eq: comparison('$eq', (order) => order === 0),
  $ne: comparison('$ne', (order) => order !== 0),
  $gt: comparison('$gt', (order) => order > 0),
  $gte: comparison('$gte', (order) => order >= 0),
  $lt: comparison('$lt', (order) => order < 0),
  $lte: comparison('$lte', (order) => order <= 0),
  $cmp: operands('$cmp', 2, (a, b) => new Int32(Math.sign(compareMissing(a, b)))),
  $and: (argument, compile) => {
    const all = list(argument).map(compile);
    return (root, variables) => all.every((each) => isTruthy(each(root, variables)));
  },
  $or: (argument, compile) => {
    const any = list(argument).map(compile);
    return (root, variables) => any.some((each) => isTruthy(each(root, variables)));
  },
  $not: operands('$not', 1, (value) => !isTruthy(value)),
  $cond: cond,
  $switch: switchOperator,
  $let: letOperator,
  $ifNull: (argument, compile) => {
    const choices = list(argument).map(compile);
    if (choices.length < 2) throw new CommandError(1257300, '$ifNull needs at least two arguments');
    return (root, variables) => {
      let value: unknown;
      for (const choice of choices) {
        value = choice(root, variables);
        if (!isNullish(value)) return value;
      }
      return value;
    };
  },
  $getField: (argument, compile) => {
    const isLong = isDoc(argument) && 'field' in argument;
    const field = compile(isLong ? argument.field : argument);
    const input = compile(isLong && 'input' in argument ? argument.input : '$$CURRENT');
    return (root, variables) => {
      const [of, name] = [input(root, variables), field(root, variables)];
      return isDoc(of) && typeof name === 'string' && Object.hasOwn(of, name) ? of[name] : undefined;
    };
  },
  $setField: named('$setField', ['field', 'input', 'value'], [], (operand) => {
    const [field, input, value] = [operand('field'), operand('input'), operand('value')];
    return (root, variables) => {
      const of = input(root, variables);
      if (isNullish(of)) return null;
      if (!isDoc(of)) throw new CommandError(4161105, '$setField requires input to be an object');
      const result: Doc = { ...of };
      const name = String(field(root, variables));
      const next = value(root, variables);
      if (next === undefined) delete result[name];
      else setField(result, name, next);
      return result;
    };
  }),
};
