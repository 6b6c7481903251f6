import { afterEach, describe, expect, it } from '@jest/globals';
import type { Doc } from './query/bson-types.js';
import { CountedSlice } from './testing/counted-slice.js';
import { EngineHarness } from './testing/engine-harness.js';

let harness: EngineHarness;
afterEach(() => harness.close());

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

async function prepare(sliceSize: number, docs: Doc[], indexes: Doc[] = []): Promise<void> {
  harness = new EngineHarness(new CountedSlice(sliceSize));
  for (const key of indexes) await harness.index(key);
  if (docs.length > 0) await harness.insert(docs);
}

const numbered = (count: number, fields: Doc = {}): Doc[] =>
  Array.from({ length: count }, (_, _id) => ({ _id, a: _id, ...fields }));

/** A write of all documents, one slice of it done. */
function begin(name: 'update' | 'delete' | 'insert', body: Doc): { reply: Promise<Doc> } {
  const reply = harness.submit(name, body);
  harness.commits.flush();
  return { reply };
}

const removal = (q: Doc, more: Doc = {}): Doc => ({ deletes: [{ q, limit: 0 }], ...more });
const increment = (q: Doc): Doc => ({ updates: [{ q, u: { $inc: { hits: 1 } }, multi: true }] });

/** What is stored, as it is read within one turn. */
async function contents(body: Doc = {}): Promise<Doc[]> {
  const reply = harness.submit('find', { batchSize: 10_000, ...body });
  harness.commits.flush();
  const { cursor } = (await reply) as { cursor: { firstBatch: Doc[] } };
  return plain(cursor.firstBatch) as Doc[];
}

describe('a large write', () => {
  it('lets others read what is done so far, and answers with all it did', async () => {
    await prepare(3, numbered(20));
    const { reply } = begin('delete', removal({}));
    const sizes: number[] = [];
    while (sizes.at(-1) !== 0) sizes.push((await contents()).length);
    expect(sizes.length).toBeGreaterThan(5);
    expect(sizes).toEqual(sizes.toSorted((x, y) => y - x));
    expect(plain(await reply)).toMatchObject({ n: 20, ok: 1 });
  });

  it('inserts a batch in slices, in its order up to the first error', async () => {
    await prepare(2, []);
    const documents = [...numbered(10), { _id: 3 }, { _id: 10 }];
    const { reply } = begin('insert', { documents });
    const early = await contents();
    expect(early.map(({ _id }) => _id)).toEqual(Array.from({ length: early.length }, (_, i) => i));
    expect(early.length).toBeLessThan(10);
    while (harness.commits.flush());
    expect(plain(await reply)).toMatchObject({ n: 10, writeErrors: [{ index: 10, code: 11000 }] });
    expect(await contents()).toHaveLength(10);
  });

  it('runs its statements in their order though others write between them', async () => {
    await prepare(1, numbered(3));
    const { reply } = begin('update', {
      updates: [
        { q: { _id: { $lt: 4 } }, u: { $set: { step: 1 } }, multi: true },
        { q: { step: 1 }, u: { $inc: { step: 1 } }, multi: true },
        { q: { _id: 9 }, u: { $set: { step: 9 } }, upsert: true },
      ],
    });
    const other = harness.submit('insert', { documents: [{ _id: 5 }] });
    while (harness.commits.flush());
    await other;
    expect(plain(await reply)).toMatchObject({ n: 7, upserted: [{ index: 2, _id: 9 }] });
    expect((await contents()).map(({ _id, step }) => [_id, step])).toEqual([
      [0, 2],
      [1, 2],
      [2, 2],
      [5, undefined],
      [9, 9],
    ]);
  });

  it('pauses while it finds nothing', async () => {
    await prepare(1, numbered(1000));
    const { reply } = begin('delete', removal({ b: 1 }));
    const other = harness.submit('ping', {});
    let turns = 0;
    while (harness.commits.flush()) turns++;
    await other;
    expect(turns).toBeGreaterThan(5);
    expect(plain(await reply)).toMatchObject({ n: 0 });
  });

  it('comes to its end where one document stands in many places of the walk', async () => {
    const b = Array.from({ length: 300 }, (_, i) => i);
    await prepare(1, numbered(2, { b }), [{ b: 1 }]);
    const { reply } = begin('delete', removal({ b: { $gte: 0 } }));
    for (let turn = 0; turn < 100; turn++) harness.commits.flush();
    expect(plain(await reply)).toMatchObject({ n: 2 });
  });

  it.each(['update', 'delete'] as const)(
    'ends with QueryPlanKilled when an %s finds its collection gone',
    async (name) => {
      await prepare(2, numbered(10));
      const { reply } = begin(name, name === 'update' ? increment({}) : removal({}));
      await harness.submit('drop', {}).catch(() => undefined);
      while (harness.commits.flush());
      expect(plain(await reply)).toMatchObject({ ok: 1, writeErrors: [{ index: 0, code: 175 }] });
      expect(await contents()).toEqual([]);
    },
  );

  it('keeps to maxTimeMS, pauses included, even in a batch without order', async () => {
    await prepare(2, numbered(10));
    const { reply } = begin('delete', {
      ...removal({}, { maxTimeMS: 50, ordered: false }),
      deletes: [
        { q: {}, limit: 0 },
        { q: {}, limit: 0 },
      ],
    });
    harness.now += 50;
    while (harness.commits.flush());
    const { n, writeErrors } = plain(await reply) as { n: number; writeErrors: Doc[] };
    expect(writeErrors).toMatchObject([{ index: 0, code: 50 }]);
    expect(n).toBeGreaterThan(0);
    expect(await contents()).toHaveLength(10 - n);
  });

  it('keeps what earlier slices did when a later one fails', async () => {
    await prepare(2, numbered(10));
    const { reply } = begin('delete', removal({}));
    const left = (await contents()).length;
    const find = harness.engine.database.find.bind(harness.engine.database);
    harness.engine.database.find = () => {
      throw new Error('a fault');
    };
    while (harness.commits.flush());
    harness.engine.database.find = find;
    expect(plain(await reply)).toMatchObject({ ok: 0, code: 1 });
    const after = (await contents()).length;
    expect(after).toBeLessThan(10);
    expect(after).toBeLessThanOrEqual(left);
  });

  it('is interrupted at a stop, and what fits into one slice is still done', async () => {
    await prepare(2, numbered(10));
    const { reply } = begin('delete', removal({}));
    const small = harness.submit('insert', { documents: [{ _id: 100 }] });
    const large = harness.submit('update', increment({}));
    harness.commits.drain();
    expect(plain(await reply)).toMatchObject({ ok: 0, code: 11600, codeName: 'InterruptedAtShutdown' });
    expect(plain(await large)).toMatchObject({ ok: 0, code: 11600 });
    expect(plain(await small)).toMatchObject({ ok: 1, n: 1 });
    expect((await contents()).length).toBeGreaterThan(1);
  });
});
