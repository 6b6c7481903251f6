import { CommandError } from '../command-error.js';
import { type Doc, getField, isDoc, setField } from './bson-types.js';
import type { Expression } from './compiled-expression.js';
import { OPERATORS } from './expression-operators.js';
import { isMingoOperator, callMingo } from './expression-mingo.js';

/** Goes down a field path as expressions do: an array gives the array of what its elements have there. */
export function fieldPath(value: unknown, parts: readonly string[], at = 0): unknown {
  const part = parts[at];
  if (part === undefined) return value;
  if (Array.isArray(value)) {
    return value
      .map((item) => (isDoc(item) || Array.isArray(item) ? fieldPath(item, parts, at) : undefined))
      .filter((item) => item !== undefined);
  }
  return isDoc(value) ? fieldPath(getField(value, part), parts, at + 1) : undefined;
}

function compileVariable(path: string): Expression {
  const [name = '', ...rest] = path.split('.');
  if (name === 'ROOT' || name === 'CURRENT') return (root) => fieldPath(root, rest);
  if (name === 'REMOVE') return () => undefined;
  return (_root, variables) => {
    if (!variables || !Object.hasOwn(variables, name))
      throw new CommandError(17276, `use of undefined variable: ${name}`);
    return fieldPath(variables[name], rest);
  };
}

function compileObject(fields: Doc): Expression {
  const compiled = Object.entries(fields).map(([name, value]) => {
    if (name.includes('.'))
      throw new CommandError(16412, `field path '${name}' is not allowed in an object expression`);
    return [name, compileExpression(value)] as const;
  });
  return (root, variables) => {
    const result: Doc = {};
    for (const [name, evaluate] of compiled) {
      const value = evaluate(root, variables);
      if (value !== undefined) setField(result, name, value);
    }
    return result;
  };
}

function compileOperator(name: string, argument: unknown): Expression {
  const operator = OPERATORS[name];
  if (operator) return operator(argument, compileExpression);
  if (!isMingoOperator(name)) throw new CommandError(168, `unrecognized expression '${name}'`);
  // Operands are evaluated here, so that paths, variables and numbers keep this store's rules; the library sees plain values.
  const names: string[] = [];
  const operands: Expression[] = [];
  const reference = (operand: unknown): string => {
    names.push(`p${names.length}`);
    operands.push(compileExpression(operand));
    return `$p${names.length - 1}`;
  };
  const call = Array.isArray(argument)
    ? argument.map(reference)
    : isDoc(argument)
      ? Object.fromEntries(Object.entries(argument).map(([key, value]) => [key, reference(value)]))
      : reference(argument);
  return (root, variables) => {
    const values: Doc = {};
    for (const [i, evaluate] of operands.entries()) values[names[i] ?? ''] = evaluate(root, variables);
    return callMingo(name, call, values);
  };
}

/**
 * Compiles an aggregation expression. Throws InvalidPipelineOperator (168) for an operator this store does not know.
 */
export function compileExpression(expression: unknown): Expression {
  if (typeof expression === 'string' && expression.startsWith('$')) {
    if (expression.startsWith('$$')) return compileVariable(expression.slice(2));
    if (expression.length === 1) throw new CommandError(16872, "'$' by itself is not a valid field path");
    const parts = expression.slice(1).split('.');
    if (parts.includes('')) throw new CommandError(15998, 'field path must not hold an empty part');
    return (root) => fieldPath(root, parts);
  }
  if (Array.isArray(expression)) {
    const items = expression.map((item) => compileExpression(item));
    return (root, variables) => items.map((item) => item(root, variables) ?? null);
  }
  if (!isDoc(expression)) return () => expression;
  const [first] = Object.keys(expression);
  if (first?.startsWith('$')) {
    if (Object.keys(expression).length > 1) {
      throw new CommandError(
        15983,
        `an expression object holds one operator, found also: ${Object.keys(expression).slice(1).join(', ')}`,
      );
    }
    return compileOperator(first, expression[first]);
  }
  return compileObject(expression);
}
