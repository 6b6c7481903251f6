import { CommandError, badValue } from '../command-error.js';
import { type Doc, asInteger, isDoc, isNumber, isTruthy, setField } from './bson-types.js';
import type { Expression, Variables } from './compiled-expression.js';
import { compileExpression } from './expression.js';
import { compileElementTest } from './filter.js';
import { setComputed } from './computed-fields.js';
import { plainValue } from './path.js';

export type Projection = (doc: Doc, variables?: Variables) => Doc;

/** `true` at a leaf: the whole field. */
type PathTree = Map<string, PathTree | true>;

function addPath(tree: PathTree, path: string): void {
  const parts = path.split('.');
  let node = tree;
  for (const [i, part] of parts.entries()) {
    const next = node.get(part);
    const isLast = i === parts.length - 1;
    if (next === true || (next && isLast)) throw new CommandError(31249, `path collision at ${path}`);
    if (part === '' || part.startsWith('$'))
      throw badValue(`'${path}' is no path that can be projected by the embedded store`);
    if (isLast) node.set(part, true);
    else if (next) node = next;
    else {
      const created: PathTree = new Map();
      node.set(part, created);
      node = created;
    }
  }
}

const keepNothing = Symbol('keep nothing');

function include(value: unknown, tree: PathTree): unknown {
  if (Array.isArray(value)) return value.map((item) => include(item, tree)).filter((item) => item !== keepNothing);
  if (!isDoc(value)) return keepNothing;
  const result: Doc = {};
  for (const [name, field] of Object.entries(value)) {
    const node = tree.get(name);
    if (!node) continue;
    const kept = node === true ? field : include(field, node);
    if (kept !== keepNothing) setField(result, name, kept);
  }
  return result;
}

function exclude(value: unknown, tree: PathTree): unknown {
  if (Array.isArray(value)) return value.map((item) => exclude(item, tree));
  if (!isDoc(value)) return value;
  const result: Doc = {};
  for (const [name, field] of Object.entries(value)) {
    const node = tree.get(name);
    if (node !== true) setField(result, name, node ? exclude(field, node) : field);
  }
  return result;
}

/** Opens `{a: {b: 1}}` to `a.b`; operator objects and empty objects stay. */
function flatten(spec: Doc, prefix = ''): Array<[string, unknown]> {
  return Object.entries(spec).flatMap(([name, value]): Array<[string, unknown]> => {
    const path = prefix + name;
    if (!isDoc(value) || Object.keys(value)[0]?.startsWith('$')) return [[path, value]];
    if (Object.keys(value).length === 0) throw badValue('an empty object is not a valid projection value');
    return flatten(value, `${path}.`);
  });
}

function sliceOf(argument: unknown): (array: unknown[]) => unknown[] {
  const [first, second] = Array.isArray(argument) ? argument.map(asInteger) : [undefined, asInteger(argument)];
  const isPair = Array.isArray(argument);
  if (second === undefined || (isPair && (first === undefined || second <= 0)))
    throw new CommandError(28724, '$slice needs numbers');
  if (!isPair) return (array) => (second >= 0 ? array.slice(0, second) : array.slice(second));
  const start = first ?? 0;
  return (array) => {
    const from = start < 0 ? Math.max(0, array.length + start) : start;
    return array.slice(from, from + second);
  };
}

/** Find's own operators: they change the array field and, alone, leave the rest of the document. */
function arrayOperator(path: string, value: unknown): ((original: Doc) => unknown) | undefined {
  if (!isDoc(value)) return undefined;
  const parts = path.split('.');
  if ('$slice' in value && !(Array.isArray(value.$slice) && typeof value.$slice[0] === 'string')) {
    const slice = sliceOf(value.$slice);
    return (doc) => {
      const array = plainValue(doc, parts);
      return Array.isArray(array) ? slice(array) : array;
    };
  }
  if (!('$elemMatch' in value)) return undefined;
  const matches = compileElementTest(value.$elemMatch, {});
  return (doc) => {
    const array = plainValue(doc, parts);
    const found = Array.isArray(array) ? array.filter(matches).slice(0, 1) : [];
    return found.length > 0 ? found : undefined;
  };
}

/**
 * Compiles a projection of `find`, `findAndModify` or `$project`: inclusion, exclusion, expressions, and find's `$slice`, `$elemMatch`.
 * Throws 31253/31254 when inclusion and exclusion are mixed.
 */
export function compileProjection(spec: Doc, isFind = false): Projection {
  const included: PathTree = new Map();
  const excluded: PathTree = new Map();
  const computed: Array<[string[], Expression]> = [];
  const arrays: Array<[string[], (doc: Doc) => unknown]> = [];
  let isInclusion = false;
  let hasId: boolean | undefined;
  for (const [path, value] of flatten(spec)) {
    const operator = isFind ? arrayOperator(path, value) : undefined;
    if (operator) {
      arrays.push([path.split('.'), operator]);
      if (isDoc(value) && '$elemMatch' in value) {
        isInclusion = true;
        addPath(included, path);
      }
    } else if (!isNumber(value) && typeof value !== 'boolean') {
      isInclusion = true;
      computed.push([path.split('.'), compileExpression(value)]);
    } else if (path === '_id') hasId = isTruthy(value);
    else if (isTruthy(value)) {
      isInclusion = true;
      addPath(included, path);
    } else addPath(excluded, path);
  }
  if (hasId === true && excluded.size === 0 && arrays.length === 0) isInclusion = true;
  if (isInclusion && excluded.size > 0) {
    throw new CommandError(
      31254,
      `cannot do exclusion on field ${[...excluded.keys()].join(', ')} in inclusion projection`,
    );
  }
  if (isInclusion && hasId !== false) included.set('_id', true);
  if (!isInclusion && hasId === false) excluded.set('_id', true);
  if (isInclusion) for (const [parts] of arrays) if (!included.has(parts[0] ?? '')) addPath(included, parts.join('.'));

  return (doc, variables) => {
    let result = (isInclusion ? include(doc, included) : exclude(doc, excluded)) as Doc;
    for (const [parts, evaluate] of computed) result = setComputed(result, parts, evaluate(doc, variables));
    for (const [parts, evaluate] of arrays) {
      const value = evaluate(doc);
      if (value !== undefined || plainValue(result, parts) !== undefined)
        result = setComputed(result, parts, typeof value === 'symbol' ? undefined : value);
    }
    return result;
  };
}
