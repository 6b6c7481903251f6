import { Int32 } from 'bson';
import { CommandError } from '../command-error.js';
import type { KeyField } from '../storage/index-keys.js';
import { encodeKey } from '../storage/key-encoding.js';
import { ACCUMULATORS } from './accumulators.js';
import { type Doc, asInteger, isDoc, isTruthy, sizeOf, typeOf } from './bson-types.js';
import { compileReplaceRoot, compileSetStage, setComputed, unsetPaths } from './computed-fields.js';
import type { Expression, Variables } from './compiled-expression.js';
import { compileExpression } from './expression.js';
import { compileFilter } from './filter.js';
import { MISSING, plainValue } from './path.js';
import { compileProjection } from './projection.js';
import { SortBuffer, parseSort, sortKey } from './sort.js';

/** A stage reads documents and gives documents; most give each one on before they read the next. */
export type Stage = (input: Iterable<Doc>) => Iterable<Doc>;

function* mapped(input: Iterable<Doc>, change: (doc: Doc) => Doc): Iterable<Doc> {
  for (const doc of input) yield change(doc);
}

function* filtered(input: Iterable<Doc>, test: (doc: Doc) => boolean): Iterable<Doc> {
  for (const doc of input) if (test(doc)) yield doc;
}

function* taken(input: Iterable<Doc>, skip: number, limit: number): Iterable<Doc> {
  let at = 0;
  for (const doc of input) {
    if (at++ >= skip) yield doc;
    if (at >= skip + limit) return;
  }
}

function* sortStage(input: Iterable<Doc>, fields: readonly KeyField[]): Iterable<Doc> {
  const buffer = new SortBuffer<Doc>(undefined);
  for (const doc of input) buffer.add({ key: sortKey(doc, fields), item: doc, bytes: sizeOf(doc) });
  yield* buffer.take();
}

function whole(stage: string, value: unknown, least: number): number {
  const number = asInteger(value);
  if (number === undefined || number < least)
    throw new CommandError(15958, `${stage} needs a whole number of at least ${least}`);
  return number;
}

function requireDoc(code: number, stage: string, spec: unknown): Doc {
  if (!isDoc(spec)) throw new CommandError(code, `the ${stage} specification must be an object, not ${typeOf(spec)}`);
  return spec;
}

interface Field {
  readonly name: string;
  readonly accumulate: (values: unknown[]) => unknown;
  readonly evaluate: Expression;
}

function groupField(name: string, spec: unknown): Field {
  const [operator, ...more] = isDoc(spec) ? Object.keys(spec) : [];
  if (!isDoc(spec) || operator === undefined || more.length > 0) {
    throw new CommandError(40234, `the field '${name}' must be an accumulator object`);
  }
  const accumulate = Object.hasOwn(ACCUMULATORS, operator) ? ACCUMULATORS[operator] : undefined;
  if (!accumulate) throw new CommandError(15952, `unknown group operator '${operator}'`);
  return { name, accumulate, evaluate: compileExpression(spec[operator]) };
}

function groupStage(spec: Doc, variables: Variables): Stage {
  if (!('_id' in spec)) throw new CommandError(15955, 'a group specification must include an _id');
  const id = compileExpression(spec._id);
  const fields = Object.entries(spec)
    .filter(([name]) => name !== '_id')
    .map(([name, value]) => groupField(name, value));
  return function* group(input) {
    const groups = new Map<string, { id: unknown; values: unknown[][] }>();
    for (const doc of input) {
      const value = id(doc, variables) ?? null;
      const key = encodeKey(value).toString('latin1');
      let entry = groups.get(key);
      if (!entry) groups.set(key, (entry = { id: value, values: fields.map(() => []) }));
      for (const [i, field] of fields.entries()) entry.values[i]?.push(field.evaluate(doc, variables));
    }
    for (const entry of groups.values()) {
      const result: Doc = { _id: entry.id };
      for (const [i, field] of fields.entries()) result[field.name] = field.accumulate(entry.values[i] ?? []);
      yield result;
    }
  };
}

function unwindStage(spec: unknown): Stage {
  const options = typeof spec === 'string' ? { path: spec } : requireDoc(15981, '$unwind', spec);
  const path = options.path;
  if (typeof path !== 'string' || !path.startsWith('$'))
    throw new CommandError(28818, "the path of $unwind must begin with '$'");
  const parts = path.slice(1).split('.');
  const keepsEmpty = 'preserveNullAndEmptyArrays' in options && isTruthy(options.preserveNullAndEmptyArrays);
  const index = 'includeArrayIndex' in options ? String(options.includeArrayIndex).split('.') : undefined;
  return function* unwind(input) {
    for (const doc of input) {
      const value = plainValue(doc, parts);
      const isEmpty =
        value === MISSING || value === null || value === undefined || (Array.isArray(value) && value.length === 0);
      if (isEmpty) {
        if (!keepsEmpty) continue;
        const base = Array.isArray(value) ? setComputed(doc, parts, undefined) : doc;
        yield index ? setComputed(base, index, null) : base;
      } else if (Array.isArray(value)) {
        for (const [i, item] of value.entries()) {
          const unwound = setComputed(doc, parts, item);
          yield index ? setComputed(unwound, index, new Int32(i)) : unwound;
        }
      } else yield index ? setComputed(doc, index, null) : doc;
    }
  };
}

function facetStage(spec: Doc, variables: Variables): Stage {
  const facets = Object.entries(spec).map(([name, pipeline]) => [name, compilePipeline(pipeline, variables)] as const);
  return function* facet(input) {
    const docs = [...input];
    const result: Doc = {};
    for (const [name, run] of facets) result[name] = [...run(docs)];
    yield result;
  };
}

function countStage(name: unknown): Stage {
  if (typeof name !== 'string' || name === '' || name.startsWith('$') || name.includes('.')) {
    throw new CommandError(40156, 'the count field must be a non-empty string without $ or dots');
  }
  return function* count(input) {
    let total = 0;
    for (const _doc of input) total++;
    if (total > 0) yield { [name]: new Int32(total) };
  };
}

function compileStage(name: string, spec: unknown, variables: Variables): Stage {
  switch (name) {
    case '$match': {
      const filter = compileFilter(requireDoc(15959, '$match', spec), { variables });
      return (input) => filtered(input, filter.test);
    }
    case '$sort': {
      const fields = parseSort(requireDoc(15973, '$sort', spec));
      if (fields.length === 0) throw new CommandError(15976, '$sort stage must have at least one sort key');
      return (input) => sortStage(input, fields);
    }
    case '$limit': {
      const limit = whole('$limit', spec, 1);
      return (input) => taken(input, 0, limit);
    }
    case '$skip': {
      const skip = whole('$skip', spec, 0);
      return (input) => taken(input, skip, Infinity);
    }
    case '$project': {
      const fields = requireDoc(15969, '$project', spec);
      if (Object.keys(fields).length === 0)
        throw new CommandError(51272, 'a projection specification must have at least one field');
      const project = compileProjection(fields);
      return (input) => mapped(input, (doc) => project(doc, variables));
    }
    case '$set':
    case '$addFields': {
      const set = compileSetStage(spec);
      return (input) => mapped(input, (doc) => set(doc, variables));
    }
    case '$unset': {
      const unset = compileProjection(unsetPaths(spec));
      return (input) => mapped(input, unset);
    }
    case '$replaceRoot':
    case '$replaceWith': {
      const replace = compileReplaceRoot(name === '$replaceRoot' ? requireDoc(40229, name, spec).newRoot : spec);
      return (input) => mapped(input, (doc) => replace(doc, variables));
    }
    case '$group':
      return groupStage(requireDoc(15947, '$group', spec), variables);
    case '$unwind':
      return unwindStage(spec);
    case '$count':
      return countStage(spec);
    case '$facet':
      return facetStage(requireDoc(40169, '$facet', spec), variables);
    default:
      throw new CommandError(40324, `unrecognized pipeline stage name: '${name}'`);
  }
}

/** The one operator and its argument of a stage. Throws 40323. */
export function stageEntry(stage: unknown): [string, unknown] {
  const [entry, ...more] = isDoc(stage) ? Object.entries(stage) : [];
  if (!entry || more.length > 0)
    throw new CommandError(40323, 'a pipeline stage specification object must contain exactly one field');
  return entry;
}

/** Compiles a pipeline's stages. Throws 40324 for a stage this store does not know. */
export function compilePipeline(pipeline: unknown, variables: Variables): Stage {
  if (!Array.isArray(pipeline)) throw new CommandError(14, "'pipeline' option must be specified as an array");
  const stages = pipeline.map((stage: unknown) => compileStage(...stageEntry(stage), variables));
  return (input) => stages.reduce((docs, stage) => stage(docs), input);
}
