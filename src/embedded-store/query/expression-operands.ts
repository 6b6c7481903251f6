import { CommandError } from '../command-error.js';
import { isDoc } from './bson-types.js';
import type { Compile, Expression, Variables } from './compiled-expression.js';

type Compiler = (argument: unknown, compile: Compile) => Expression;

/** An operator of operand values: a list, or one operand without brackets. `count` fixes how many. */
export function operands(
  name: string,
  count: number | [number, number],
  apply: (...values: unknown[]) => unknown,
): Compiler {
  const [least, most] = typeof count === 'number' ? [count, count] : count;
  return (argument, compile) => {
    const list = Array.isArray(argument) ? (argument as unknown[]) : [argument];
    if (list.length < least || list.length > most) {
      throw new CommandError(
        16020,
        `${name} takes ${least === most ? least : `${least} to ${most}`} arguments, ${list.length} given`,
      );
    }
    const compiled = list.map(compile);
    return (root, variables) => apply(...compiled.map((each) => each(root, variables)));
  };
}

/** An operator of named operands, `{$op: {input: …, as: …}}`; throws FailedToParse for one it does not know or misses. */
export function named(
  name: string,
  required: readonly string[],
  optional: readonly string[],
  build: (operand: (key: string) => Expression, raw: Record<string, unknown>) => Expression,
): Compiler {
  return (argument, compile) => {
    if (!isDoc(argument)) throw new CommandError(9, `${name} needs an object`);
    for (const key of Object.keys(argument)) {
      if (!required.includes(key) && !optional.includes(key))
        throw new CommandError(9, `unrecognized argument to ${name}: ${key}`);
    }
    for (const key of required)
      if (!(key in argument)) throw new CommandError(9, `missing '${key}' argument to ${name}`);
    const absent: Expression = () => undefined;
    return build((key) => (key in argument ? compile(argument[key]) : absent), argument);
  };
}

export const isNullish = (value: unknown): value is null | undefined => value === null || value === undefined;

export const withVariable = (variables: Variables | undefined, name: string, value: unknown): Variables => ({
  ...variables,
  [name]: value,
});
