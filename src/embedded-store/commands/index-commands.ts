import { Int32 } from 'bson';
import { CommandError, failedToParse } from '../command-error.js';
import { valuesEqual } from '../query/bson-compare.js';
import { type Doc, asNumber, encode, isDoc, isTruthy, typeOf } from '../query/bson-types.js';
import { compileFilter } from '../query/filter.js';
import type { Collection } from '../storage/collection.js';
import type { IndexSpec, StoredIndex } from '../storage/stored-index.js';
import { documentList, namespaceOf } from './arguments.js';
import type { Command, CommandContext, CommandRequest } from './command.js';
import { cursorReply } from './reply.js';

const KNOWN_OPTIONS = new Set([
  'v',
  'key',
  'name',
  'unique',
  'sparse',
  'partialFilterExpression',
  'expireAfterSeconds',
  'background',
  'ns',
  'hidden',
  'comment',
]);
const MAX_TTL_SECONDS = 2_147_483_647;

function parseKey(key: unknown): Record<string, 1 | -1> {
  if (!isDoc(key) || Object.keys(key).length === 0) throw new CommandError(67, 'index keys cannot be empty');
  const fields: Record<string, 1 | -1> = {};
  for (const [path, value] of Object.entries(key)) {
    const direction = asNumber(value);
    if (direction === undefined || direction === 0 || Number.isNaN(direction)) {
      throw new CommandError(
        67,
        `index type ${String(value)} of '${path}' is not supported by the embedded store: use 1 or -1`,
      );
    }
    if (path === '' || path.split('.').some((part) => part === '' || part.startsWith('$'))) {
      throw new CommandError(67, `index key '${path}' is no valid field path`);
    }
    fields[path] = direction > 0 ? 1 : -1;
  }
  return fields;
}

function parseSpec(doc: Doc): IndexSpec {
  for (const option of Object.keys(doc)) {
    if (option === 'collation' && isDoc(doc.collation) && doc.collation.locale === 'simple') continue;
    if (!KNOWN_OPTIONS.has(option))
      throw new CommandError(197, `the index option '${option}' is not supported by the embedded store`);
  }
  const key = parseKey(doc.key);
  const { name, partialFilterExpression: partial, expireAfterSeconds } = doc;
  if (typeof name !== 'string' || name === '')
    throw failedToParse("the 'name' field is a required property of an index specification");
  if (partial !== undefined && !isDoc(partial)) throw new CommandError(14, 'partialFilterExpression must be an object');
  if (isDoc(partial)) compileFilter(partial);
  if (isDoc(partial) && isTruthy(doc.sparse))
    throw new CommandError(67, 'cannot mix "partialFilterExpression" and "sparse" options');
  const ttl = expireAfterSeconds === undefined ? undefined : asNumber(expireAfterSeconds);
  if (expireAfterSeconds !== undefined) {
    if (ttl === undefined || ttl < 0 || ttl > MAX_TTL_SECONDS)
      throw new CommandError(
        67,
        `expireAfterSeconds must be a number from 0 to ${MAX_TTL_SECONDS}, not ${typeOf(expireAfterSeconds)}`,
      );
    if (Object.keys(key).length > 1)
      throw new CommandError(67, 'TTL indexes are single-field indexes, compound indexes do not support TTL');
  }
  return {
    v: 2,
    key,
    name,
    ...(isTruthy(doc.unique) ? { unique: true } : {}),
    ...(isTruthy(doc.sparse) ? { sparse: true } : {}),
    ...(isDoc(partial) ? { partialFilterExpression: partial } : {}),
    ...(ttl === undefined ? {} : { expireAfterSeconds: Math.trunc(ttl) }),
  };
}

/** Key patterns are the same only with the same order of fields. */
const sameKey = (a: IndexSpec, b: IndexSpec): boolean => valuesEqual({ ...a.key }, { ...b.key });

function sameOptions(a: IndexSpec, b: IndexSpec): boolean {
  return (
    (a.unique === true || a.name === '_id_') === (b.unique === true || b.name === '_id_') &&
    (a.sparse ?? false) === (b.sparse ?? false) &&
    a.expireAfterSeconds === b.expireAfterSeconds &&
    valuesEqual(a.partialFilterExpression ?? null, b.partialFilterExpression ?? null)
  );
}

const isIdKey = (spec: IndexSpec): boolean => Object.keys(spec.key).join() === '_id';

/** Whether the index is there already. Throws IndexOptionsConflict (85), IndexKeySpecsConflict (86). */
function exists(collection: Collection, spec: IndexSpec): boolean {
  if (isIdKey(spec)) return true;
  const named = collection.indexes.find((index) => index.spec.name === spec.name);
  if (named) {
    if (sameKey(named.spec, spec) && sameOptions(named.spec, spec)) return true;
    throw new CommandError(
      86,
      `an existing index has the same name as the requested index '${spec.name}', but another key or other options; drop it first`,
    );
  }
  const same = collection.indexes.find(
    (index) =>
      sameKey(index.spec, spec) &&
      valuesEqual(index.spec.partialFilterExpression ?? null, spec.partialFilterExpression ?? null),
  );
  if (same)
    throw new CommandError(
      85,
      `the index on this key already exists with the name '${same.spec.name}' or with other options`,
    );
  return false;
}

function createIndexes(request: CommandRequest, context: CommandContext): Doc {
  const ns = namespaceOf(request);
  const specs = documentList(request, 'indexes').map(parseSpec);
  if (specs.length === 0) throw new CommandError(2, 'must specify at least one index to create');
  const isNew = !context.database.find(ns);
  const collection = context.database.ensure(ns);
  const before = collection.indexes.length;
  for (const spec of specs) if (!exists(collection, spec)) context.database.addIndex(collection, spec);
  const note = collection.indexes.length === before ? { note: 'all indexes already exist' } : {};
  return {
    numIndexesBefore: new Int32(before),
    numIndexesAfter: new Int32(collection.indexes.length),
    createdCollectionAutomatically: isNew,
    ...note,
  };
}

function shown(spec: IndexSpec): Doc {
  const { name, ...rest } = spec;
  // The _id index is unique without saying so.
  const doc: Doc = { ...rest, name };
  if (name === '_id_') delete doc.unique;
  return doc;
}

function requireCollection(request: CommandRequest, context: CommandContext): Collection {
  const ns = namespaceOf(request);
  const collection = context.database.find(ns);
  if (!collection) throw new CommandError(26, `ns does not exist: ${ns}`);
  return collection;
}

function listIndexes(request: CommandRequest, context: CommandContext): Uint8Array {
  const collection = requireCollection(request, context);
  return cursorReply(
    'firstBatch',
    collection.indexes.map(({ spec }) => encode(shown(spec))),
    0n,
    collection.ns,
  );
}

function matching(collection: Collection, wanted: unknown): StoredIndex[] {
  if (wanted === '*') return collection.indexes.filter(({ spec }) => spec.name !== '_id_');
  if (Array.isArray(wanted)) return wanted.flatMap((each: unknown) => matching(collection, each));
  const found = collection.indexes.filter(({ spec }) =>
    isDoc(wanted) ? valuesEqual({ ...spec.key }, wanted) : spec.name === wanted,
  );
  if (found.length === 0)
    throw new CommandError(27, `index not found: ${typeof wanted === 'string' ? wanted : JSON.stringify(wanted)}`);
  if (found.some(({ spec }) => spec.name === '_id_')) throw new CommandError(72, 'cannot drop _id index');
  return found;
}

function dropIndexes(request: CommandRequest, context: CommandContext): Doc {
  const collection = requireCollection(request, context);
  const before = collection.indexes.length;
  for (const index of matching(collection, request.body.index)) context.database.dropIndex(collection, index);
  context.cursors.closeAll(collection.ns);
  return { nIndexesWas: new Int32(before) };
}

export const INDEX_COMMANDS: Readonly<Record<string, Command>> = {
  createIndexes: { writes: true, run: createIndexes },
  listIndexes: { writes: false, run: listIndexes },
  dropIndexes: { writes: true, run: dropIndexes },
  deleteIndexes: { writes: true, run: dropIndexes },
};
