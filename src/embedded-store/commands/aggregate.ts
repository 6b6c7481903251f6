import { Int32 } from 'bson';
import { CommandError, badValue } from '../command-error.js';
import { valuesEqual } from '../query/bson-compare.js';
import { type Doc, asInteger, encode, isDoc } from '../query/bson-types.js';
import type { Variables } from '../query/compiled-expression.js';
import { compileFilter } from '../query/filter.js';
import { type Query, type RowSource, countRows, findRows } from '../query/find.js';
import { MAX_SORT_BYTES, parseSort } from '../query/sort.js';
import { compilePipeline, stageEntry } from '../query/stages.js';
import type { Collection } from '../storage/collection.js';
import type { ScanRow } from '../storage/scan.js';
import { flag, namespaceOf, optionalDoc, refuseUnsupported, variablesOf, wholeNumber } from './arguments.js';
import type { Command, CommandContext, CommandRequest } from './command.js';
import { FIRST_BATCH, cursorReply, openCursor } from './reply.js';

/** The stages at the front that a walk of the store can do itself: `$match`, `$sort`, `$skip`, `$limit`, each at most once in this order. */
function splitPipeline(pipeline: unknown[], body: Doc, variables: Variables): { query: Query; rest: unknown[] } {
  const query: { -readonly [K in keyof Query]: Query[K] } = { filter: compileFilter({}), sort: [], skip: 0, limit: 0 };
  if (body.hint !== undefined) query.hint = body.hint;
  const order = ['$match', '$sort', '$skip', '$limit'];
  let place = -1;
  let used = 0;
  for (const stage of pipeline) {
    const [name, spec] = stageEntry(stage);
    const next = order.indexOf(name);
    if (next <= place) break;
    const number = asInteger(spec);
    if (name === '$match' && isDoc(spec)) query.filter = compileFilter(spec, { variables });
    else if (name === '$sort' && isDoc(spec) && Object.keys(spec).length > 0) query.sort = parseSort(spec);
    else if (name === '$skip' && number !== undefined && number >= 0) query.skip = number;
    else if (name === '$limit' && number !== undefined && number > 0) query.limit = number;
    else break;
    place = next;
    used++;
  }
  return { query, rest: pipeline.slice(used) };
}

/** The pipeline drivers send for `countDocuments` ends with this group. */
function isCount(rest: unknown[]): boolean {
  const one = new Int32(1);
  return rest.length === 1 && valuesEqual(rest[0], { $group: { _id: one, n: { $sum: one } } });
}

function* documents(source: RowSource, context: CommandContext): Iterable<Doc> {
  // Rows are read in blocks: a row source calls back, a pipeline asks.
  for (let isDone = false; !isDone;) {
    const block: Doc[] = [];
    isDone = source.read((row) => {
      if (block.length >= 256) return false;
      block.push(row.doc());
      return true;
    }, context.limits);
    yield* block;
  }
}

function resultSource(docs: Iterable<Doc>): RowSource {
  const rows: Uint8Array[] = [];
  let bytes = 0;
  for (const doc of docs) {
    const row = encode(doc);
    bytes += row.length;
    if (bytes > MAX_SORT_BYTES)
      throw new CommandError(292, `the aggregation's result exceeds ${MAX_SORT_BYTES} bytes; add a $limit or a $match`);
    rows.push(row);
  }
  let at = 0;
  return {
    read(visit) {
      for (; at < rows.length; at++) if (!visit(rawRow(rows[at] as Uint8Array))) return false;
      return true;
    },
  };
}

const rawRow = (bytes: Uint8Array): ScanRow => ({ rid: -1, bytes, doc: () => ({}) });
const asStored = (row: ScanRow): Uint8Array => row.bytes;

function aggregate(request: CommandRequest, context: CommandContext): Uint8Array {
  const { body } = request;
  refuseUnsupported(body);
  if (flag(body, 'explain')) throw badValue('explain is not supported by the embedded store');
  if (!Array.isArray(body.pipeline)) throw new CommandError(14, "field 'pipeline' must be an array");
  const ns = namespaceOf(request);
  const variables = variablesOf(body, context);
  const { query, rest } = splitPipeline(body.pipeline, body, variables);
  const pipeline = compilePipeline(rest, variables);
  const size = wholeNumber(optionalDoc(body, 'cursor') ?? {}, 'batchSize', FIRST_BATCH);
  const collection = context.database.find(ns);
  if (collection && isCount(rest)) return countReply(ns, collection, query, context);
  const source = collection ? findRows(collection, query, context.stats, context.limits) : undefined;
  if (rest.length === 0) {
    return source ? openCursor(ns, source, asStored, size, false, context) : cursorReply('firstBatch', [], 0n, ns);
  }
  const docs = pipeline(source ? documents(source, context) : []);
  return openCursor(ns, resultSource(docs), asStored, size, false, context);
}

function countReply(ns: string, collection: Collection, query: Query, context: CommandContext): Uint8Array {
  const n = countRows(collection, query, context.stats, context.limits);
  return cursorReply('firstBatch', n === 0 ? [] : [encode({ _id: new Int32(1), n: new Int32(n) })], 0n, ns);
}

export const AGGREGATE_COMMANDS: Readonly<Record<string, Command>> = { aggregate: { writes: false, run: aggregate } };
