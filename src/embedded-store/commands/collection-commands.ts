import { Int32 } from 'bson';
import { CommandError } from '../command-error.js';
import { type Doc, encode, isTruthy } from '../query/bson-types.js';
import { compileFilter } from '../query/filter.js';
import { flag, namespaceOf, optionalDoc } from './arguments.js';
import type { Command, CommandContext, CommandRequest } from './command.js';
import { cursorReply } from './reply.js';

const REFUSED_OPTIONS = [
  'capped',
  'timeseries',
  'viewOn',
  'clusteredIndex',
  'validator',
  'changeStreamPreAndPostImages',
];

function create(request: CommandRequest, context: CommandContext): Doc {
  const ns = namespaceOf(request);
  for (const option of REFUSED_OPTIONS) {
    if (isTruthy(request.body[option]))
      throw new CommandError(72, `the collection option '${option}' is not supported by the embedded store`);
  }
  // Creating again with the same options succeeds (MongoDB 7.0).
  context.database.ensure(ns);
  return {};
}

function listCollections(request: CommandRequest, context: CommandContext): Uint8Array {
  const filter = compileFilter(optionalDoc(request.body, 'filter') ?? {});
  const nameOnly = flag(request.body, 'nameOnly');
  const docs = context.database
    .list(request.database)
    .map(({ name }): Doc => {
      const base = { name, type: 'collection' };
      return nameOnly
        ? base
        : {
            ...base,
            options: {},
            info: { readOnly: false },
            idIndex: { v: new Int32(2), key: { _id: new Int32(1) }, name: '_id_' },
          };
    })
    .filter((doc) => filter.test(doc));
  return cursorReply('firstBatch', docs.map(encode), 0n, `${request.database}.$cmd.listCollections`);
}

function drop(request: CommandRequest, context: CommandContext): Doc {
  const ns = namespaceOf(request);
  const collection = context.database.find(ns);
  if (!collection) return { ns, nIndexesWas: new Int32(0) };
  const nIndexesWas = new Int32(collection.indexes.length);
  context.database.drop(collection);
  context.cursors.closeAll(ns);
  return { ns, nIndexesWas };
}

function dropDatabase(request: CommandRequest, context: CommandContext): Doc {
  for (const collection of context.database.list(request.database)) {
    context.database.drop(collection);
    context.cursors.closeAll(collection.ns);
  }
  return { dropped: request.database };
}

function listDatabases(request: CommandRequest, context: CommandContext): Doc {
  const names = new Set(context.database.all().map(({ ns }) => ns.slice(0, ns.indexOf('.'))));
  const filter = compileFilter(optionalDoc(request.body, 'filter') ?? {});
  const databases = [...names]
    .sort()
    .map((name): Doc => (flag(request.body, 'nameOnly') ? { name } : { name, sizeOnDisk: new Int32(0), empty: false }))
    .filter((doc) => filter.test(doc));
  return flag(request.body, 'nameOnly') ? { databases } : { databases, totalSize: new Int32(0) };
}

export const COLLECTION_COMMANDS: Readonly<Record<string, Command>> = {
  create: { writes: true, run: create },
  listCollections: { writes: false, run: listCollections },
  drop: { writes: true, run: drop },
  dropDatabase: { writes: true, run: dropDatabase },
  listDatabases: { writes: false, run: listDatabases },
};
