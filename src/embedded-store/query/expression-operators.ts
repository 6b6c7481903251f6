import { ARITHMETIC_OPERATORS } from './expression-arithmetic.js';
import { ARRAY_OPERATORS } from './expression-arrays.js';
import { CONTROL_OPERATORS } from './expression-control.js';
import { DATE_OPERATORS } from './expression-dates.js';
import { TYPE_OPERATORS } from './expression-types.js';
import type { Compile, Expression } from './expression.js';

/** Compiles an operator's argument into its evaluation. */
export type OperatorCompiler = (argument: unknown, compile: Compile) => Expression;

export const OPERATORS: Readonly<Record<string, OperatorCompiler>> = Object.assign(
  Object.create(null) as Record<string, OperatorCompiler>,
  CONTROL_OPERATORS,
  ARITHMETIC_OPERATORS,
  ARRAY_OPERATORS,
  DATE_OPERATORS,
  TYPE_OPERATORS,
);
