import { ObjectId } from 'bson';
import { CommandError, badValue, failedToParse } from '../command-error.js';
import { valuesEqual } from './bson-compare.js';
import { type Doc, clone, getField, isDoc, setField } from './bson-types.js';
import { compileReplaceRoot, compileSetStage, unsetPaths } from './computed-fields.js';
import type { Variables } from './compiled-expression.js';
import { type FilterNode, compileFilter, conjuncts, matchedPosition } from './filter.js';
import { MISSING, plainValue, setPlain } from './path.js';
import { compileProjection } from './projection.js';
import { type UpdateStep, idChanged, updateSteps } from './update-operators.js';
import { type UpdateContext, comparePaths, parseUpdatePath, refuseConflicts } from './update-path.js';

export interface UpdateOptions {
  readonly arrayFilters?: unknown;
  readonly filter: FilterNode;
  readonly now: Date;
  readonly variables?: Variables;
}

export interface Update {
  readonly isReplacement: boolean;
  /** A changed document, which shares with the given one the fields that did not change. `_id` stays (ImmutableField, 66) and comes first. */
  apply(doc: Doc): Doc;
  /** The document an upsert inserts, made from the filter's equalities. */
  insert(): Doc;
}

type Change = (doc: Doc, isInsert: boolean) => Doc;

function compileArrayFilters(filters: unknown): Map<string, (element: unknown) => boolean> {
  const compiled = new Map<string, (element: unknown) => boolean>();
  if (filters === undefined) return compiled;
  if (!Array.isArray(filters)) throw failedToParse('arrayFilters must be an array');
  for (const filter of filters as unknown[]) {
    if (!isDoc(filter) || Object.keys(filter).length === 0)
      throw failedToParse('an array filter must be a non-empty document');
    const names = new Set(filterNames(filter));
    const [name, ...others] = names;
    if (name === undefined || others.length > 0 || !/^[a-z][a-zA-Z0-9]*$/.test(name)) {
      throw failedToParse(`an array filter names one identifier, lower case first: ${[...names].join(', ')}`);
    }
    if (compiled.has(name))
      throw failedToParse(`found multiple array filters with the same top-level field name ${name}`);
    const node = compileFilter(filter);
    compiled.set(name, (element) => node.test({ [name]: element }));
  }
  return compiled;
}

function filterNames(filter: Doc): string[] {
  return Object.entries(filter).flatMap(([key, value]) =>
    key.startsWith('$') && Array.isArray(value)
      ? value.flatMap((child: unknown) => (isDoc(child) ? filterNames(child) : []))
      : [key.split('.')[0] ?? ''],
  );
}

function operatorChange(update: Doc, options: UpdateOptions): Change {
  const arrayFilters = compileArrayFilters(options.arrayFilters);
  const steps: UpdateStep[] = Object.entries(update).flatMap(([operator, fields]) =>
    updateSteps(operator, fields, parseUpdatePath),
  );
  steps.sort((a, b) => comparePaths(a.parts, b.parts));
  refuseConflicts(steps.map((step) => step.parts));
  const used = new Set(steps.flatMap((step) => step.parts));
  for (const name of arrayFilters.keys()) {
    if (!used.has(`$[${name}]`))
      throw failedToParse(`the array filter for identifier '${name}' was not used in the update`);
  }
  const isPositional = used.has('$');
  const touched = new Set(steps.map((step) => step.parts[0] ?? ''));
  return (given, isInsert) => {
    // Steps change in place what they touch.
    const doc: Doc = { ...given };
    for (const field of touched) {
      const value = getField(doc, field);
      if (typeof value === 'object' && value !== null) setField(doc, field, clone(value));
    }
    const position = isPositional && !isInsert ? matchedPosition(options.filter, doc) : undefined;
    const context: UpdateContext = { position, arrayFilters, isInsert, now: options.now };
    for (const step of steps) step.apply(doc, context);
    return doc;
  };
}

function pipelineChange(stages: unknown[], options: UpdateOptions): Change {
  const changes = stages.map((stage) => {
    const [name, ...more] = isDoc(stage) ? Object.keys(stage) : [];
    if (!isDoc(stage) || name === undefined || more.length > 0) {
      throw new CommandError(40323, 'a pipeline stage specification object must contain exactly one field');
    }
    const spec = stage[name];
    switch (name) {
      case '$set':
      case '$addFields':
        return compileSetStage(spec);
      case '$unset':
        return compileProjection(unsetPaths(spec));
      case '$project':
        return compileProjection(isDoc(spec) ? spec : {});
      case '$replaceRoot':
        return compileReplaceRoot(isDoc(spec) ? spec.newRoot : undefined);
      case '$replaceWith':
        return compileReplaceRoot(spec);
      default:
        throw new CommandError(72, `${name} is not allowed to be used within an update`);
    }
  });
  const variables = { ...options.variables, NOW: options.now };
  return (doc) => changes.reduce((current, change) => change(current, variables), doc);
}

function replacementChange(replacement: Doc): Change {
  for (const key of Object.keys(replacement)) {
    if (key.startsWith('$'))
      throw failedToParse(`a replacement document must not contain update operators, found ${key}`);
  }
  return (doc) => {
    const next = clone(replacement);
    return Object.hasOwn(next, '_id') || !Object.hasOwn(doc, '_id') ? next : { _id: doc._id, ...next };
  };
}

/** `_id` first, as every stored document has it. */
export function withIdFirst(doc: Doc, id: unknown): Doc {
  for (const first in doc) {
    if (first === '_id') return doc;
    break;
  }
  const result: Doc = { _id: id };
  for (const [name, value] of Object.entries(doc)) if (name !== '_id') setField(result, name, value);
  return result;
}

/** Fields an upsert takes over from its filter: what is required to be equal. Throws NotSingleValueField (54) for two values of one path. */
function equalities(filter: FilterNode): Doc {
  const doc: Doc = {};
  for (const node of conjuncts(filter)) {
    const only = node.kind === 'or' && node.children.length === 1 ? node.children[0] : node;
    if (only?.kind !== 'leaf') continue;
    const single = only.operator === '$in' && Array.isArray(only.operand) && only.operand.length === 1;
    if (only.operator !== '$eq' && !single) continue;
    const value: unknown = single ? (only.operand as unknown[])[0] : only.operand;
    const existing = plainValue(doc, only.parts);
    if (existing !== MISSING && !valuesEqual(existing, value)) {
      throw new CommandError(54, `cannot infer query fields to set, path '${only.path}' is matched twice`);
    }
    setPlain(doc, only.parts, clone(value));
  }
  return doc;
}

/**
 * Compiles an update document, replacement or pipeline. Throws FailedToParse (9) for unknown or mixed operators, ConflictingUpdateOperators (40).
 */
export function compileUpdate(update: unknown, options: UpdateOptions): Update {
  let change: Change;
  let isReplacement = false;
  if (Array.isArray(update)) {
    if (options.arrayFilters !== undefined)
      throw failedToParse('arrayFilters may not be specified for pipeline-style updates');
    change = pipelineChange(update, options);
  } else if (!isDoc(update)) throw failedToParse('an update must be a document or a pipeline');
  else if (Object.keys(update)[0]?.startsWith('$')) change = operatorChange(update, options);
  else {
    isReplacement = true;
    change = replacementChange(update);
  }
  return {
    isReplacement,
    apply(doc) {
      const id = doc._id;
      const next = change(doc, false);
      if (!Object.hasOwn(next, '_id')) {
        if (Array.isArray(update)) return { _id: id, ...next };
        throw idChanged();
      }
      if (!valuesEqual(next._id, id)) throw idChanged();
      return withIdFirst(next, id);
    },
    insert() {
      const base = equalities(options.filter);
      const id = base._id;
      const next = change(isReplacement ? ('_id' in base ? { _id: id } : {}) : base, true);
      if (id !== undefined && !valuesEqual(next._id, id)) throw idChanged();
      if (Array.isArray(next._id)) throw badValue("the '_id' value cannot be an array");
      return withIdFirst(next, Object.hasOwn(next, '_id') ? next._id : new ObjectId());
    },
  };
}
