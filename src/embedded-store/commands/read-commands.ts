import { Int32, Long } from 'bson';
import { CommandError, badValue } from '../command-error.js';
import { distinctValues } from '../query/accumulators.js';
import { type Doc, asInteger, encode } from '../query/bson-types.js';
import { compileFilter } from '../query/filter.js';
import { type Query, countRows, findRows } from '../query/find.js';
import { MISSING, someElement, splitPath } from '../query/path.js';
import { compileProjection } from '../query/projection.js';
import { compileRawProjection } from '../query/raw-projection.js';
import { parseSort } from '../query/sort.js';
import type { ScanRow } from '../storage/scan.js';
import { flag, namespaceOf, optionalDoc, refuseUnsupported, variablesOf, wholeNumber } from './arguments.js';
import type { Command, CommandContext, CommandRequest } from './command.js';
import { FIRST_BATCH, cursorReply, openCursor, readBatch } from './reply.js';

function queryOf(body: Doc, filterField: string, context: CommandContext): Query {
  refuseUnsupported(body);
  const filter = compileFilter(optionalDoc(body, filterField) ?? {}, { variables: variablesOf(body, context) });
  const hint = body.hint === undefined ? {} : { hint: body.hint };
  return {
    filter,
    sort: parseSort(body.sort),
    skip: wholeNumber(body, 'skip', 0),
    limit: wholeNumber(body, 'limit', 0),
    ...hint,
  };
}

function outputOf(body: Doc, context: CommandContext): (row: ScanRow) => Uint8Array {
  const spec = optionalDoc(body, 'projection');
  if (!spec || Object.keys(spec).length === 0) return (row) => row.bytes;
  const raw = compileRawProjection(spec);
  if (raw) return (row) => raw(row.bytes);
  const project = compileProjection(spec, true);
  const variables = variablesOf(body, context);
  return (row) => encode(project(row.doc(), variables));
}

function find(request: CommandRequest, context: CommandContext): Uint8Array {
  const { body } = request;
  const ns = namespaceOf(request);
  for (const option of ['tailable', 'awaitData', 'min', 'max', 'returnKey', 'showRecordId']) {
    if (flag(body, option)) throw badValue(`the option '${option}' of find is not supported by the embedded store`);
  }
  const query = queryOf(body, 'filter', context);
  const output = outputOf(body, context);
  const size = wholeNumber(body, 'batchSize', FIRST_BATCH);
  const collection = context.database.find(ns);
  if (!collection) return cursorReply('firstBatch', [], 0n, ns);
  const source = findRows(collection, query, context.stats, context.limits);
  return openCursor(ns, source, output, size, flag(body, 'singleBatch'), context);
}

function getMore(request: CommandRequest, context: CommandContext): Uint8Array {
  const { body, database } = request;
  if (!(body.getMore instanceof Long)) throw new CommandError(14, "field 'getMore' must be a long");
  const ns = `${database}.${String(body.collection)}`;
  const id = body.getMore.toBigInt();
  const { source, output } = context.cursors.get(id, ns);
  // 0 means no limit but the message size.
  const size = wholeNumber(body, 'batchSize', 0) || Infinity;
  const { docs, isDone } = readBatch(source, output, size, context);
  if (isDone) context.cursors.close(id, ns);
  return cursorReply('nextBatch', docs, isDone ? 0n : id, ns);
}

function killCursors(request: CommandRequest, context: CommandContext): Doc {
  const ns = namespaceOf(request);
  const ids = request.body.cursors;
  if (!Array.isArray(ids)) throw new CommandError(14, "field 'cursors' must be an array");
  const killed: unknown[] = [];
  const unknown: unknown[] = [];
  for (const id of ids as unknown[]) {
    const number = asInteger(id);
    const isKilled =
      id instanceof Long ? context.cursors.close(id.toBigInt(), ns) : context.cursors.close(BigInt(number ?? 0), ns);
    (isKilled ? killed : unknown).push(id);
  }
  return { cursorsKilled: killed, cursorsNotFound: unknown, cursorsAlive: [], cursorsUnknown: [] };
}

function count(request: CommandRequest, context: CommandContext): Doc {
  const query = queryOf(request.body, 'query', context);
  const collection = context.database.find(namespaceOf(request));
  return { n: new Int32(collection ? countRows(collection, query, context.stats, context.limits) : 0) };
}

function distinct(request: CommandRequest, context: CommandContext): Doc {
  const { key } = request.body;
  if (typeof key !== 'string') throw new CommandError(14, "field 'key' must be a string");
  const query = queryOf(request.body, 'query', context);
  const collection = context.database.find(namespaceOf(request));
  const parts = splitPath(key);
  const values: unknown[] = [];
  if (collection) {
    findRows(collection, query, context.stats, context.limits).read((row) => {
      someElement(row.doc(), parts, (value) => {
        if (value !== MISSING && !Array.isArray(value)) values.push(value);
        return false;
      });
      return true;
    }, context.limits);
  }
  return { values: distinctValues(values) };
}

export const READ_COMMANDS: Readonly<Record<string, Command>> = {
  find: { writes: false, run: find },
  getMore: { writes: false, run: getMore },
  killCursors: { writes: false, run: killCursors },
  count: { writes: false, run: count },
  distinct: { writes: false, run: distinct },
};
