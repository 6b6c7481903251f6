import { Int32, ObjectId } from 'bson';
import { CommandError, failedToParse, typeMismatch } from '../command-error.js';
import { type Doc, checkChanges, checkSize, checkStorable, decode, encode, typeOf } from '../query/bson-types.js';
import { compileFilter } from '../query/filter.js';
import { type Query, matchingRows } from '../query/find.js';
import { type Update, compileUpdate, withIdFirst } from '../query/update.js';
import type { Collection } from '../storage/collection.js';
import type { ScanRow } from '../storage/scan.js';
import {
  documentList,
  flag,
  namespaceOf,
  optionalDoc,
  refuseUnsupported,
  variablesOf,
  wholeNumber,
} from './arguments.js';
import type { Command, CommandContext, CommandRequest } from './command.js';

/** MongoDB manual, "Limits": operations in one batch. */
const MAX_BATCH = 100_000;

/** Runs each statement; one that fails is told in `writeErrors`, and in an ordered batch is the last. */
function eachStatement(request: CommandRequest, count: number, run: (index: number) => void): Doc {
  if (count === 0 || count > MAX_BATCH)
    throw new CommandError(16, `a write batch holds 1 to ${MAX_BATCH} operations, ${count} given`);
  const isOrdered = flag(request.body, 'ordered', true);
  const writeErrors: Doc[] = [];
  for (let index = 0; index < count; index++) {
    try {
      run(index);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      writeErrors.push({
        index: new Int32(index),
        code: new Int32(error.code),
        errmsg: error.message,
        ...error.details,
      });
      if (isOrdered) break;
    }
  }
  return writeErrors.length > 0 ? { writeErrors } : {};
}

function checkId(id: unknown): void {
  const type = typeOf(id);
  if (type === 'array' || type === 'regex' || type === 'undefined')
    throw new CommandError(53, `the '_id' value cannot be of type ${type}`);
}

export function insertDocument(collection: Collection, doc: Doc, stored?: Uint8Array): void {
  checkStorable(doc);
  const hasId = Object.hasOwn(doc, '_id');
  if (hasId) checkId(doc._id);
  const complete = withIdFirst(doc, hasId ? doc._id : new ObjectId());
  if (complete === doc && stored) checkSize(stored.length);
  collection.insert(complete, complete === doc && stored ? stored : encode(complete));
}

function insert(request: CommandRequest, context: CommandContext): Doc {
  const ns = namespaceOf(request);
  const raw = request.sequences.get('documents');
  if (!raw) throw typeMismatch("field 'documents' must be an array of objects");
  const collection = context.database.ensure(ns);
  let n = 0;
  const errors = eachStatement(request, raw.length, (index) => {
    const bytes = raw[index] as Uint8Array;
    insertDocument(collection, decode(bytes), bytes);
    n++;
  });
  return { n: new Int32(n), ...errors };
}

function targetQuery(statement: Doc, context: CommandContext, body: Doc, limit: number): Query {
  refuseUnsupported(statement);
  const filter = compileFilter(optionalDoc(statement, 'q') ?? {}, {
    allowExpr: !flag(statement, 'upsert'),
    variables: variablesOf(body, context),
  });
  const hint = statement.hint === undefined ? {} : { hint: statement.hint };
  return { filter, sort: [], skip: 0, limit, ...hint };
}

/** Writes the updated document; false if nothing changed. */
export function updateRow(
  collection: Collection,
  { rid, bytes: stored, doc: read }: ScanRow,
  update: Update,
): { isModified: boolean; doc: Doc } {
  const before = read();
  const doc = update.apply(before);
  checkChanges(before, doc);
  const bytes = encode(doc);
  if (Buffer.compare(bytes, stored) === 0) return { isModified: false, doc };
  collection.replace(rid, before, doc, bytes);
  return { isModified: true, doc };
}

function update(request: CommandRequest, context: CommandContext): Doc {
  const ns = namespaceOf(request);
  const statements = documentList(request, 'updates');
  let [n, nModified] = [0, 0];
  const upserted: Doc[] = [];
  const errors = eachStatement(request, statements.length, (index) => {
    const statement = statements[index] as Doc;
    const isMulti = flag(statement, 'multi');
    const query = targetQuery(statement, context, request.body, isMulti ? 0 : 1);
    const change = compileUpdate(statement.u, {
      filter: query.filter,
      now: context.now,
      arrayFilters: statement.arrayFilters,
      variables: { ...variablesOf(request.body, context), ...optionalDoc(statement, 'c') },
    });
    if (isMulti && change.isReplacement)
      throw failedToParse('multi update is not supported for replacement-style update');
    const collection = context.database.find(ns);
    let matched = 0;
    for (const row of collection ? matchingRows(collection, query, context.stats, context.limits) : []) {
      if (!collection) break;
      matched++;
      const { isModified } = updateRow(collection, row, change);
      n++;
      if (isModified) nModified++;
    }
    if (matched > 0 || !flag(statement, 'upsert')) return;
    const doc = change.insert();
    insertDocument(context.database.ensure(ns), doc);
    n++;
    upserted.push({ index: new Int32(index), _id: doc._id });
  });
  return { n: new Int32(n), nModified: new Int32(nModified), ...(upserted.length > 0 ? { upserted } : {}), ...errors };
}

function deleteCommand(request: CommandRequest, context: CommandContext): Doc {
  const collection = context.database.find(namespaceOf(request));
  const statements = documentList(request, 'deletes');
  let n = 0;
  const errors = eachStatement(request, statements.length, (index) => {
    const statement = statements[index] as Doc;
    const limit = wholeNumber(statement, 'limit', -1);
    if (limit !== 0 && limit !== 1) throw failedToParse('the limit field in delete objects must be 0 or 1');
    const query = targetQuery(statement, context, request.body, limit);
    if (!collection) return;
    for (const row of matchingRows(collection, query, context.stats, context.limits)) {
      collection.remove(row.rid, row.doc());
      n++;
    }
  });
  return { n: new Int32(n), ...errors };
}

export const WRITE_COMMANDS: Readonly<Record<string, Command>> = {
  insert: { writes: true, run: insert },
  update: { writes: true, run: update },
  delete: { writes: true, run: deleteCommand },
};
