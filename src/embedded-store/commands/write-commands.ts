import { Int32, ObjectId } from 'bson';
import { CommandError, failedToParse, typeMismatch } from '../command-error.js';
import { type Doc, checkChanges, checkSize, checkStorable, decode, encode, typeOf } from '../query/bson-types.js';
import { compileFilter } from '../query/filter.js';
import type { Query } from '../query/find.js';
import { type Update, compileUpdate, withIdFirst } from '../query/update.js';
import type { Collection } from '../storage/collection.js';
import type { ScanRow } from '../storage/scan.js';
import { flag, namespaceOf, optionalDoc, refuseUnsupported, variablesOf, wholeNumber } from './arguments.js';
import type { Command, CommandContext, CommandRequest, Steps } from './command.js';
import { removeMatches, updateMatches } from './matches.js';
import { eachStatement, statementsOf } from './write-batch.js';

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

function* insert(request: CommandRequest, context: CommandContext): Steps<Doc> {
  const ns = namespaceOf(request);
  const raw = request.sequences.get('documents');
  if (!raw) throw typeMismatch("field 'documents' must be an array of objects");
  let n = 0;
  const errors = yield* eachStatement(request, context, raw.length, (index) => {
    const bytes = raw[index] as Uint8Array;
    // Found anew each time: it may have been dropped since the last document.
    insertDocument(context.database.ensure(ns), decode(bytes), bytes);
    n++;
    return undefined;
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

function* update(request: CommandRequest, context: CommandContext): Steps<Doc> {
  const ns = namespaceOf(request);
  const statements = statementsOf(request, 'updates');
  let [n, nModified] = [0, 0];
  const upserted: Doc[] = [];
  const errors = yield* eachStatement(request, context, statements.count, function* (index) {
    const statement = statements.at(index);
    const isMulti = flag(statement, 'multi');
    const isUpsert = flag(statement, 'upsert');
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
    const before = n;
    if (collection) {
      yield* updateMatches(collection, query, context, isUpsert, (current, row) => {
        const { isModified } = updateRow(current, row, change);
        n++;
        if (isModified) nModified++;
      });
    }
    if (n > before || !isUpsert) return;
    const doc = change.insert();
    insertDocument(context.database.ensure(ns), doc);
    n++;
    upserted.push({ index: new Int32(index), _id: doc._id });
  });
  return { n: new Int32(n), nModified: new Int32(nModified), ...(upserted.length > 0 ? { upserted } : {}), ...errors };
}

function* deleteCommand(request: CommandRequest, context: CommandContext): Steps<Doc> {
  const ns = namespaceOf(request);
  const statements = statementsOf(request, 'deletes');
  let n = 0;
  const errors = yield* eachStatement(request, context, statements.count, function* (index) {
    const statement = statements.at(index);
    const limit = wholeNumber(statement, 'limit', -1);
    if (limit !== 0 && limit !== 1) throw failedToParse('the limit field in delete objects must be 0 or 1');
    const query = targetQuery(statement, context, request.body, limit);
    const collection = context.database.find(ns);
    if (!collection) return;
    yield* removeMatches(collection, query, context, (current, row) => {
      current.remove(row.rid, row.doc());
      n++;
    });
  });
  return { n: new Int32(n), ...errors };
}

export const WRITE_COMMANDS: Readonly<Record<string, Command>> = {
  insert: { writes: true, steps: insert },
  update: { writes: true, steps: update },
  delete: { writes: true, steps: deleteCommand },
};
