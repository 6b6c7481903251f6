import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Int32 } from 'bson';
import fc from 'fast-check';
import mongoose from 'mongoose';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedStore, startEmbeddedStore } from './index.js';
import { type Outcome, contents, outcome } from './testing/operation-outcome.js';
import { type Operation, operations } from './testing/random-operations.js';

type Collection = mongoose.mongo.Collection;

const peerUri = process.env.TEST_MONGODB_URI;
/** Skipped without a server to compare with: the other two tests run everywhere. */
const itWithPeer = peerUri === undefined ? it.skip : it;
const sequences = fc.array(operations, { minLength: 5, maxLength: 25 });

/** Where FerretDB 2.7 answers otherwise than MongoDB's manual; each with what the manual (or the server's own source) says. */
const PEER_DIFFERENCES: ReadonlyArray<{
  reason: string;
  /** The documents differ from here on. */
  isFinal?: true;
  applies: (operation: Operation, ours: Outcome, theirs: Outcome) => boolean;
}> = [
  {
    reason:
      'it checks an update only when a document matches; MongoDB parses updates first ("Conflicting update operators", "Unknown modifier")',
    applies: (_, ours, theirs) => 'code' in ours && [9, 40].includes(ours.code as number) && 'result' in theirs,
  },
  {
    reason: '$pop of a value that is no array is TypeMismatch (14) in MongoDB, BadValue (2) there',
    applies: (operation, ours, theirs) =>
      'update' in operation &&
      '$pop' in operation.update &&
      'code' in ours &&
      ours.code === 14 &&
      'code' in theirs &&
      theirs.code === 2,
  },
  {
    reason:
      'a failing updateMany changes nothing there; in MongoDB each document is an operation of its own ("db.collection.updateMany()")',
    isFinal: true,
    applies: (operation, ours) => operation.kind === 'update' && operation.multi && 'code' in ours,
  },
  {
    reason: '$inc and $mul take booleans for numbers there; in MongoDB they are TypeMismatch (14)',
    isFinal: true,
    applies: (operation, ours, theirs) =>
      'update' in operation &&
      ('$inc' in operation.update || '$mul' in operation.update) &&
      'code' in ours &&
      ours.code === 14 &&
      'result' in theirs,
  },
  {
    reason: '$count of nothing gives no document in MongoDB ($group of no documents), {n: 0} there',
    applies: (operation, ours) =>
      operation.kind === 'aggregate' &&
      '$count' in (operation.pipeline[1] ?? {}) &&
      'result' in ours &&
      !ours.result.includes('"n"'),
  },
  {
    reason: 'an array update on a value that is no array is BadValue (2) in MongoDB, PathNotViable (28) there',
    applies: (operation, ours, theirs) =>
      JSON.stringify(operation).includes('.$[') &&
      'code' in ours &&
      ours.code === 2 &&
      'code' in theirs &&
      theirs.code === 28,
  },
];

let folder: string;
let store: EmbeddedStore;
const clients: mongoose.mongo.MongoClient[] = [];

async function collection(uri: string, name: string): Promise<Collection> {
  const client = await new mongoose.mongo.MongoClient(uri).connect();
  clients.push(client);
  return client.db(`random_${process.pid}`).collection(name);
}

async function empty(of: Collection, isIndexed: boolean, isUnique: boolean): Promise<void> {
  await of.drop();
  if (isUnique) await of.createIndex({ u: 1 }, { unique: true, partialFilterExpression: { u: { $exists: true } } });
  if (!isIndexed) return;
  await of.createIndex({ a: 1, _id: -1 });
  await of.createIndex({ b: -1 });
  await of.createIndex({ 'c.x': 1, 'c.y': -1 });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'store-random-'));
  store = await startEmbeddedStore({ dataDir: folder });
});

afterAll(async () => {
  for (const client of clients) await client.close();
  await store.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('random operations through the driver', () => {
  it('come to the same with and without indexes', async () => {
    const [indexed, plain] = [await collection(store.uri, 'indexed'), await collection(store.uri, 'plain')];
    await fc.assert(
      fc.asyncProperty(sequences, async (list) => {
        await empty(indexed, true, false);
        await empty(plain, false, false);
        for (const operation of list) {
          expect(await outcome(indexed, operation)).toEqual(await outcome(plain, operation));
        }
        expect(await contents(indexed)).toEqual(await contents(plain));
      }),
      { numRuns: 200 },
    );
  }, 120_000);

  it('come to the same as in a naive model', async () => {
    const real = await collection(store.uri, 'modelled');
    await fc.assert(
      fc.asyncProperty(fc.array(modelOperations, { maxLength: 40 }), async (list) => {
        await empty(real, true, true);
        const model = new Map<number, { a: number; u: number }>();
        for (const operation of list) await agree(real, model, operation);
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  itWithPeer(
    peerUri === undefined
      ? 'come to the same on a real server (TEST_MONGODB_URI is not set)'
      : 'come to the same on a real server',
    async () => {
      const [ours, theirs] = [await collection(store.uri, 'compared'), await collection(peerUri ?? '', 'compared')];
      await fc.assert(
        fc.asyncProperty(sequences, async (list) => {
          await empty(ours, true, true);
          await empty(theirs, true, true);
          for (const operation of list) {
            const [mine, other] = [await outcome(ours, operation), await outcome(theirs, operation)];
            const known = PEER_DIFFERENCES.find(({ applies }) => applies(operation, mine, other));
            if (known?.isFinal) return;
            if (!known)
              expect({ ...mine, operation: JSON.stringify(operation) }).toEqual({
                ...other,
                operation: JSON.stringify(operation),
              });
            expect(await contents(ours)).toEqual(await contents(theirs));
          }
        }),
        // One seed: what the other server does differently is its own affair, and must not come up by chance.
        { numRuns: 60, seed: 3, endOnFailure: true },
      );
      await theirs.drop();
    },
    300_000,
  );
});

interface ModelOperation {
  readonly kind: 'insert' | 'increment' | 'remove' | 'top' | 'count';
  readonly id: number;
  readonly n: number;
}

const modelOperations: fc.Arbitrary<ModelOperation> = fc.record({
  kind: fc.constantFrom('insert', 'insert', 'increment', 'remove', 'top', 'count'),
  id: fc.integer({ min: 1, max: 10 }),
  n: fc.integer({ min: -3, max: 3 }),
});

/** Does the operation on both sides; `u` is unique. */
async function agree(
  real: Collection,
  model: Map<number, { a: number; u: number }>,
  { kind, id, n }: ModelOperation,
): Promise<void> {
  const isTaken = [...model].some(([other, { u }]) => other === id || u === n);
  switch (kind) {
    case 'insert': {
      const done = await outcome(real, {
        kind: 'insert',
        doc: { _id: new Int32(id), a: new Int32(n), u: new Int32(n) },
      });
      expect('code' in done ? done.code : 0).toBe(isTaken ? 11000 : 0);
      if (!isTaken) model.set(id, { a: n, u: n });
      return;
    }
    case 'increment': {
      const { matchedCount } = await real.updateMany({ a: { $gte: n } }, { $inc: { a: id } });
      const matching = [...model.values()].filter(({ a }) => a >= n);
      for (const doc of matching) doc.a += id;
      expect(matchedCount).toBe(matching.length);
      return;
    }
    case 'remove': {
      const { deletedCount } = await real.deleteMany({ a: { $lt: n } });
      const gone = [...model].filter(([, { a }]) => a < n);
      for (const [key] of gone) model.delete(key);
      expect(deletedCount).toBe(gone.length);
      return;
    }
    case 'count':
      expect(await real.countDocuments({ a: { $ne: n } })).toBe([...model.values()].filter(({ a }) => a !== n).length);
      return;
    default: {
      const found = await real.find({}, { sort: { a: 1, _id: -1 }, limit: 3 }).toArray();
      const expected = [...model].sort(([i, x], [j, y]) => x.a - y.a || j - i).slice(0, 3);
      expect(found.map((doc) => [Number(doc._id), doc.a as number])).toEqual(expected.map(([key, { a }]) => [key, a]));
    }
  }
}
