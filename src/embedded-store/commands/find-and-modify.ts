import { Int32 } from 'bson';
import { failedToParse } from '../command-error.js';
import { type Doc, isTruthy } from '../query/bson-types.js';
import { compileFilter } from '../query/filter.js';
import { type Query, findFirst } from '../query/find.js';
import { compileProjection } from '../query/projection.js';
import { parseSort } from '../query/sort.js';
import { compileUpdate } from '../query/update.js';
import { flag, namespaceOf, optionalDoc, refuseUnsupported, variablesOf } from './arguments.js';
import type { Command, CommandContext, CommandRequest } from './command.js';
import { insertDocument, updateRow } from './write-commands.js';

function requireOneAction(body: Doc): void {
  const isRemove = isTruthy(body.remove);
  if (isRemove && body.update !== undefined) throw failedToParse('cannot specify both an update and remove=true');
  if (isRemove && isTruthy(body.new))
    throw failedToParse("cannot specify both new=true and remove=true: 'remove' always returns the deleted document");
  if (isRemove && isTruthy(body.upsert)) throw failedToParse('cannot specify both upsert=true and remove=true');
  if (!isRemove && body.update === undefined) throw failedToParse('either an update or remove=true must be specified');
}

/** One document, found, changed and returned in one step. Throws DuplicateKey (11000) like an update. */
function findAndModify(request: CommandRequest, context: CommandContext): Doc {
  const { body } = request;
  const ns = namespaceOf(request);
  refuseUnsupported(body);
  requireOneAction(body);
  const variables = variablesOf(body, context);
  const filter = compileFilter(optionalDoc(body, 'query') ?? {}, { variables, allowExpr: !flag(body, 'upsert') });
  const hint = body.hint === undefined ? {} : { hint: body.hint };
  const query: Query = { filter, sort: parseSort(body.sort), skip: 0, limit: 1, ...hint };
  const fields = optionalDoc(body, 'fields');
  const project = fields && Object.keys(fields).length > 0 ? compileProjection(fields, true) : undefined;
  const shown = (doc: Doc): Doc => (project ? project(doc, variables) : doc);
  const change = isTruthy(body.remove)
    ? undefined
    : compileUpdate(body.update, { filter, now: context.now, arrayFilters: body.arrayFilters, variables });

  const collection = context.database.find(ns);
  const row = collection && findFirst(collection, query, context.stats, context.limits);
  if (!row || !collection) {
    if (!change) return { lastErrorObject: { n: new Int32(0) }, value: null };
    if (!flag(body, 'upsert')) return { lastErrorObject: { n: new Int32(0), updatedExisting: false }, value: null };
    const doc = change.insert();
    insertDocument(context.database.ensure(ns), doc);
    const value = flag(body, 'new') ? shown(doc) : null;
    return { lastErrorObject: { n: new Int32(1), updatedExisting: false, upserted: doc._id }, value };
  }
  const before = row.doc();
  if (!change) {
    collection.remove(row.rid, before);
    return { lastErrorObject: { n: new Int32(1) }, value: shown(before) };
  }
  const { doc } = updateRow(collection, row, change);
  return {
    lastErrorObject: { n: new Int32(1), updatedExisting: true },
    value: shown(flag(body, 'new') ? doc : before),
  };
}

const command: Command = { writes: true, run: findAndModify };

export const FIND_AND_MODIFY_COMMANDS: Readonly<Record<string, Command>> = {
  findAndModify: command,
  findandmodify: command,
};
