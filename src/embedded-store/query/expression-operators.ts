import type { OperatorCompiler } from './compiled-expression.js';
import { ARITHMETIC_OPERATORS } from './expression-arithmetic.js';
import { ARRAY_OPERATORS } from './expression-arrays.js';
import { CONTROL_OPERATORS } from './expression-control.js';
import { DATE_OPERATORS } from './expression-dates.js';
import { TYPE_OPERATORS } from './expression-types.js';

export const OPERATORS: Readonly<Record<string, OperatorCompiler>> = Object.assign(
  Object.create(null) as Record<string, OperatorCompiler>,
  CONTROL_OPERATORS,
  ARITHMETIC_OPERATORS,
  ARRAY_OPERATORS,
  DATE_OPERATORS,
  TYPE_OPERATORS,
);
