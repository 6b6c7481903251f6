import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Doc, decode } from './query/bson-types.js';
import { CountedSlice } from './testing/counted-slice.js';
import { EngineHarness } from './testing/engine-harness.js';

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

interface Held {
  a: number;
  b: number | number[];
  hits: number;
}

type Between =
  | { readonly kind: 'insert' | 'set'; readonly id: number; readonly a: number; readonly b: number | number[] }
  | { readonly kind: 'remove'; readonly id: number }
  | { readonly kind: 'index' | 'dropIndex' | 'nothing' | 'refused' };

const byId = (x: Doc, y: Doc): number => Number(x._id) - Number(y._id);

const small = fc.integer({ min: 0, max: 5 });
const b = fc.oneof(small, fc.array(small, { maxLength: 3 }));
const id = fc.integer({ min: 0, max: 14 });
const between: fc.Arbitrary<Between> = fc.oneof(
  fc.record({ kind: fc.constantFrom('insert' as const, 'set' as const), id, a: small, b }),
  fc.record({ kind: fc.constant('remove' as const), id }),
  fc.record({ kind: fc.constantFrom('index' as const, 'dropIndex' as const, 'nothing' as const, 'refused' as const) }),
);

const someAtLeast = (value: number | number[], least: number): boolean => [value].flat().some((each) => each >= least);
const FILTERS: ReadonlyArray<{ q: Doc; matches: (doc: Held) => boolean }> = [
  { q: {}, matches: () => true },
  { q: { a: { $gte: 2 } }, matches: (doc) => doc.a >= 2 },
  { q: { b: { $gte: 3 } }, matches: (doc) => someAtLeast(doc.b, 3) },
  {
    q: { $or: [{ a: { $gte: 4 } }, { b: { $gte: 4 } }] },
    matches: (doc) => doc.a >= 4 || someAtLeast(doc.b, 4),
  },
];

/** Read beside the queue, so that it gives the write no turn. */
function stored(harness: EngineHarness): Map<number, Held> {
  const collection = harness.engine.database.find('test.things');
  if (!collection) return new Map();
  const rows = collection.statement(`SELECT doc FROM d${collection.id}`).all() as Array<{ doc: Uint8Array }>;
  return new Map(
    rows.map(({ doc }) => {
      const { _id, ...rest } = plain(decode(doc)) as Held & { _id: number };
      return [_id, rest];
    }),
  );
}

/** Somebody else's command, which takes its turn before the next slice; the document it may have written. */
function interleave(harness: EngineHarness, step: Between, model: Map<number, Held>): number | undefined {
  switch (step.kind) {
    case 'insert': {
      if (model.has(step.id)) return undefined;
      const doc = { a: step.a, b: step.b, hits: 0 };
      void harness.submit('insert', { documents: [{ _id: step.id, ...doc }] });
      model.set(step.id, doc);
      return step.id;
    }
    case 'set': {
      const doc = model.get(step.id);
      void harness.submit('update', { updates: [{ q: { _id: step.id }, u: { $set: { a: step.a, b: step.b } } }] });
      if (doc) model.set(step.id, { ...doc, a: step.a, b: step.b });
      return step.id;
    }
    case 'remove':
      void harness.submit('delete', { deletes: [{ q: { _id: step.id }, limit: 1 }] });
      model.delete(step.id);
      return step.id;
    case 'index':
      void harness.submit('createIndexes', { indexes: [{ key: { b: 1, a: 1 }, name: 'late' }] });
      return undefined;
    case 'dropIndex':
      void harness.submit('dropIndexes', { index: ['a_1', 'b_1'] });
      return undefined;
    case 'refused':
      // A failed command makes the store read its catalog again.
      void harness.submit('createIndexes', {
        indexes: [
          { key: { a: 1 }, name: 'one', unique: true },
          { key: {}, name: 'x' },
        ],
      });
      return undefined;
    default:
      return undefined;
  }
}

describe('a write in slices among other writes', () => {
  it('changes what matches at that moment and nothing else, none twice, and misses nothing that matched all the time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('update' as const, 'delete' as const),
        fc.constantFrom(...FILTERS),
        fc.integer({ min: 1, max: 3 }),
        fc.uniqueArray(fc.record({ _id: id, a: small, b }), { selector: (doc) => doc._id, minLength: 5 }),
        fc.array(between, { maxLength: 8 }),
        fc.boolean(),
        async (name, { q, matches }, sliceSize, docs, steps, isIndexed) => {
          const harness = new EngineHarness(new CountedSlice(sliceSize));
          for (const key of isIndexed ? [{ a: 1 }, { b: 1 }] : []) await harness.index(key);
          await harness.insert(docs.map((doc) => ({ ...doc, hits: 0 })));
          const held = stored(harness);
          const untouched = new Set([...held].filter(([, doc]) => matches(doc)).map(([key]) => key));
          let total = 0;
          const body =
            name === 'delete'
              ? { deletes: [{ q, limit: 0 }] }
              : { updates: [{ q, u: { $inc: { hits: 1, a: 1 } }, multi: true }] };
          const reply = harness.submit(name, body);
          let isMore = true;
          for (let turn = 0; isMore; turn++) {
            // The first turn is the write's alone.
            const other = turn === 0 ? undefined : interleave(harness, steps[turn - 1] ?? { kind: 'nothing' }, held);
            if (other !== undefined) untouched.delete(other);
            isMore = harness.commits.flush();
            const now = stored(harness);
            for (const [key, before] of held) {
              const after = now.get(key);
              if (after && after.hits === before.hits) continue;
              expect(matches(before)).toBe(true);
              expect(before.hits).toBe(0);
              untouched.delete(key);
              total++;
            }
            held.clear();
            for (const [key, doc] of now) held.set(key, doc);
          }
          expect([...untouched]).toEqual([]);
          expect(plain(await reply)).toMatchObject({ ok: 1, n: total });
          for (const filter of [{ a: { $gte: -100 } }, { b: { $gte: -100 } }]) {
            const walked = plain(await harness.find({ filter })) as Doc[];
            const scanned = plain(await harness.find({ filter, hint: { $natural: 1 } })) as Doc[];
            expect(walked.toSorted(byId)).toEqual(scanned.toSorted(byId));
          }
          harness.close();
        },
      ),
      { numRuns: 150 },
    );
  }, 60_000);
});
