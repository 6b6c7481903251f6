import { CommandError, badValue } from '../command-error.js';
import { type Doc, isDoc, isTruthy, typeOf } from './bson-types.js';
import type { Variables } from './compiled-expression.js';
import { compileExpression } from './expression.js';
import { type ValueTest, compileOperator, equalityTest, splitRegexOptions } from './filter-operators.js';
import { MISSING, someElement, someValue, splitPath } from './path.js';

/** One condition on one path; what the planner reads. */
export interface Leaf {
  readonly kind: 'leaf';
  readonly path: string;
  readonly parts: readonly string[];
  readonly operator: string;
  readonly operand: unknown;
  readonly test: (doc: unknown) => boolean;
}

export type FilterNode =
  | Leaf
  | {
      readonly kind: 'and' | 'or' | 'nor';
      readonly children: readonly FilterNode[];
      readonly test: (doc: unknown) => boolean;
    }
  | { readonly kind: 'other'; readonly test: (doc: unknown) => boolean };

export interface FilterOptions {
  readonly variables?: Variables;
  /** `$expr` is refused where MongoDB refuses it: in the filter of an upsert. */
  readonly allowExpr?: boolean;
}

function leaf(path: string, operator: string, operand: unknown, value: ValueTest): Leaf {
  const parts = splitPath(path);
  const some = value.expands ? someElement : someValue;
  const found = (doc: unknown): boolean => some(doc, parts, value.test);
  const test = value.isNegated ? (doc: unknown): boolean => !found(doc) : found;
  return { kind: 'leaf', path, parts, operator, operand, test };
}

const isOperatorDoc = (value: unknown): value is Doc => {
  if (!isDoc(value)) return false;
  const first = Object.keys(value)[0];
  return first !== undefined && first.startsWith('$') && !['$ref', '$id', '$db'].includes(first);
};

function group(kind: 'and' | 'or' | 'nor', children: FilterNode[]): FilterNode {
  const [only] = children;
  if (kind === 'and' && children.length === 1 && only) return only;
  const tests = children.map((child) => child.test);
  const test =
    kind === 'and'
      ? (doc: unknown): boolean => tests.every((each) => each(doc))
      : kind === 'or'
        ? (doc: unknown): boolean => tests.some((each) => each(doc))
        : (doc: unknown): boolean => !tests.some((each) => each(doc));
  return { kind, children, test };
}

/** `{a: {$gt: 1, $lt: 5}}`: each operator is a condition of its own, so each may be met by another array element. */
function compileField(path: string, operators: Doc, options: FilterOptions): FilterNode[] {
  const nodes: FilterNode[] = [];
  for (const [operator, operand] of splitRegexOptions(operators)) {
    if (operator === '$not') {
      const negated = compileNot(path, operand, options);
      nodes.push({ kind: 'other', test: (doc) => !negated.test(doc) });
    } else if (operator === '$elemMatch') nodes.push(compileElemMatch(path, operand, options));
    else if (operator === '$all') nodes.push(compileAll(path, operand, options));
    else nodes.push(leaf(path, operator, operand, compileOperator(operator, operand)));
  }
  return nodes;
}

function compileNot(path: string, operand: unknown, options: FilterOptions): FilterNode {
  if (typeOf(operand) === 'regex') return leaf(path, '$regex', operand, compileOperator('$regex', operand));
  if (!isDoc(operand)) throw badValue('$not needs a regex or a document');
  if (!isOperatorDoc(operand)) throw badValue('$not cannot be empty and takes operators only');
  return group('and', compileField(path, operand, options));
}

/** Whether `$elemMatch`'s argument tests the element itself (`{$gt: 1}`) or the fields of a document element. */
const testsElement = (argument: Doc): boolean => {
  const first = Object.keys(argument)[0];
  return isOperatorDoc(argument) && first !== '$and' && first !== '$or' && first !== '$nor' && first !== '$expr';
};

export function compileElementTest(argument: unknown, options: FilterOptions): (element: unknown) => boolean {
  if (!isDoc(argument)) throw badValue('$elemMatch needs an object');
  if (testsElement(argument)) {
    const nodes = compileField('v', argument, options);
    return (element) => nodes.every((node) => node.test({ v: element }));
  }
  const inner = compileFilter(argument, options);
  return (element) => (isDoc(element) || Array.isArray(element)) && inner.test(element);
}

function compileElemMatch(path: string, argument: unknown, options: FilterOptions): FilterNode {
  const matches = compileElementTest(argument, options);
  return leaf(path, '$elemMatch', argument, {
    test: (value) => Array.isArray(value) && value.some(matches),
    expands: false,
    isNegated: false,
  });
}

function compileAll(path: string, operand: unknown, options: FilterOptions): FilterNode {
  if (!Array.isArray(operand)) throw badValue('$all needs an array');
  if (operand.length === 0) return { kind: 'other', test: () => false };
  const children = operand.map((item: unknown) => {
    if (isDoc(item) && Object.keys(item)[0] === '$elemMatch') return compileElemMatch(path, item.$elemMatch, options);
    if (isOperatorDoc(item)) throw badValue('no $ expressions in $all');
    return leaf(path, '$eq', item, equalityTest(item));
  });
  return group('and', children);
}

function compileLogical(operator: string, operand: unknown, options: FilterOptions): FilterNode {
  if (!Array.isArray(operand) || operand.length === 0) throw badValue(`${operator} must be a nonempty array`);
  const children = operand.map((child: unknown) => {
    if (!isDoc(child)) throw badValue(`${operator} entries need to be full objects`);
    return compileFilter(child, options);
  });
  return group(operator.slice(1) as 'and' | 'or' | 'nor', children);
}

function compileTopLevel(operator: string, operand: unknown, options: FilterOptions): FilterNode | undefined {
  switch (operator) {
    case '$and':
    case '$or':
    case '$nor':
      return compileLogical(operator, operand, options);
    case '$comment':
      return undefined;
    case '$expr': {
      if (options.allowExpr === false)
        throw new CommandError(224, '$expr is not allowed in the query predicate for an upsert');
      const evaluate = compileExpression(operand);
      return { kind: 'other', test: (doc) => isTruthy(evaluate(doc, options.variables)) };
    }
    default:
      throw badValue(`unknown top level operator: ${operator}`);
  }
}

/**
 * Compiles a query filter. `test` answers whether a document matches. Throws BadValue (2) for unknown operators and wrong operands.
 */
export function compileFilter(filter: Doc, options: FilterOptions = {}): FilterNode {
  const nodes: FilterNode[] = [];
  for (const [path, condition] of Object.entries(filter)) {
    if (path.startsWith('$')) {
      const node = compileTopLevel(path, condition, options);
      if (node) nodes.push(node);
    } else if (isOperatorDoc(condition)) nodes.push(...compileField(path, condition, options));
    else if (typeOf(condition) === 'regex')
      nodes.push(leaf(path, '$regex', condition, compileOperator('$regex', condition)));
    else nodes.push(leaf(path, '$eq', condition, equalityTest(condition)));
  }
  return group('and', nodes);
}

/** The conditions that must all hold, with nested `$and`s opened. */
export function conjuncts(node: FilterNode): FilterNode[] {
  return node.kind === 'and' ? node.children.flatMap((child) => conjuncts(child)) : [node];
}

/**
 * The array element that the update operator `$` stands for: the first one that meets a condition of the filter by itself.
 */
export function matchedPosition(node: FilterNode, doc: Doc): number | undefined {
  if (node.kind === 'and' || node.kind === 'or') {
    for (const child of node.children) {
      const position = child.test(doc) ? matchedPosition(child, doc) : undefined;
      if (position !== undefined) return position;
    }
    return undefined;
  }
  if (node.kind !== 'leaf') return undefined;
  for (let depth = 1; depth <= node.parts.length; depth++) {
    const prefix = node.parts.slice(0, depth);
    let array: unknown;
    someValue(doc, prefix, (value) => ((array = value), true));
    if (array === MISSING || !Array.isArray(array)) continue;
    const index = array.findIndex((element) => node.test(nest(prefix, [element])));
    return index === -1 ? undefined : index;
  }
  return undefined;
}

const nest = (parts: readonly string[], value: unknown): unknown =>
  parts.reduceRight((inner: unknown, part) => ({ [part]: inner }), value);
