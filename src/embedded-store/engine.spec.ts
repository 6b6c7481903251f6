import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Long } from 'bson';
import type { Doc } from './query/bson-types.js';
import { EngineHarness } from './testing/engine-harness.js';

let harness: EngineHarness;
beforeEach(() => {
  harness = new EngineHarness();
});
afterEach(() => harness.close());

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const code = (reply: Doc): unknown => plain(reply.code ?? null);

async function contents(): Promise<unknown> {
  return plain(await harness.find({ sort: { _id: 1 }, batchSize: 10_000 }));
}

describe('group commit', () => {
  it('keeps the other writes of a turn when one fails', async () => {
    await harness.index({ u: 1 }, { unique: true });
    const replies = [1, 2, 1, 3].map((u, _id) => harness.submit('insert', { documents: [{ _id, u }] }));
    const before = replies.length;
    harness.commits.flush();
    const errors = (await Promise.all(replies)).map((reply) => plain(reply.writeErrors ?? null));
    expect(before).toBe(4);
    expect(errors).toMatchObject([null, null, [{ code: 11000, keyPattern: { u: 1 }, keyValue: { u: 1 } }], null]);
    expect(await contents()).toEqual([
      { _id: 0, u: 1 },
      { _id: 1, u: 2 },
      { _id: 3, u: 3 },
    ]);
  });

  it('undoes all of a command that is refused in its middle', async () => {
    await harness.insert([
      { _id: 1, a: 1 },
      { _id: 2, a: 1 },
    ]);
    const indexes = [
      { key: { b: 1 }, name: 'b' },
      { key: { a: 1 }, name: 'a', unique: true },
    ];
    expect(code(await harness.run('createIndexes', { indexes }))).toBe(11000);
    const { cursor } = (await harness.run('listIndexes', {})) as { cursor: { firstBatch: Doc[] } };
    expect(cursor.firstBatch.map(({ name }) => name)).toEqual(['_id_']);
  });

  it('answers an internal fault without its details, and logs them', async () => {
    harness.engine.database.ensure = () => {
      throw new Error('secret detail');
    };
    const reply = await harness.run('insert', { documents: [{ _id: 1 }] });
    expect([code(reply), String(reply.errmsg).includes('secret')]).toEqual([1, false]);
    expect(JSON.stringify(harness.logged)).toContain('secret detail');
  });
});

describe('unique indexes', () => {
  it('let one of many upserts and inserts at the same moment win', async () => {
    await harness.index({ name: 1 }, { unique: true });
    const race = Array.from({ length: 20 }, (_, n) => harness.submit('insert', { documents: [{ name: 'one', n }] }));
    harness.commits.flush();
    const won = (await Promise.all(race)).filter((reply) => !reply.writeErrors);
    expect(won).toHaveLength(1);
  });

  it('leave the document as it was when an update would break them', async () => {
    await harness.index({ tags: 1 }, { unique: true });
    await harness.insert([
      { _id: 1, tags: ['a', 'b'] },
      { _id: 2, tags: ['c'] },
    ]);
    const { writeErrors } = await harness.run('update', { updates: [{ q: { _id: 2 }, u: { $push: { tags: 'b' } } }] });
    expect(plain(writeErrors)).toMatchObject([{ index: 0, code: 11000 }]);
    expect(await contents()).toEqual([
      { _id: 1, tags: ['a', 'b'] },
      { _id: 2, tags: ['c'] },
    ]);
    expect(await harness.find({ filter: { tags: 'b' } })).toHaveLength(1);
  });

  it('stop an ordered batch at the first error and run an unordered one to its end', async () => {
    const documents = [{ _id: 1 }, { _id: 1 }, { _id: 2 }];
    expect(plain(await harness.run('insert', { documents }))).toMatchObject({ n: 1 });
    await harness.run('delete', { deletes: [{ q: {}, limit: 0 }] });
    expect(plain(await harness.run('insert', { documents, ordered: false }))).toMatchObject({
      n: 2,
      writeErrors: [{ index: 1 }],
    });
  });

  it('conflict by name with 86 and by key with 85; the same again is no error', async () => {
    await harness.index({ a: 1 });
    expect(await harness.index({ a: 1 })).toMatchObject({ note: 'all indexes already exist' });
    expect(code(await harness.index({ a: 1 }, { unique: true }))).toBe(86);
    expect(code(await harness.run('createIndexes', { indexes: [{ key: { a: 1 }, name: 'other' }] }))).toBe(85);
  });
});

describe('TTL indexes', () => {
  const MINUTE = 60_000;

  it('remove documents once their time is over, by the earliest of several dates, and nothing else', async () => {
    await harness.index({ at: 1 }, { expireAfterSeconds: 60 });
    const now = harness.now;
    await harness.insert([
      { _id: 'old', at: new Date(now - MINUTE) },
      { _id: 'young', at: new Date(now - MINUTE + 1) },
      { _id: 'several', at: [new Date(now + MINUTE), new Date(now - 2 * MINUTE)] },
      { _id: 'text', at: '2000-01-01' },
      { _id: 'none' },
    ]);
    expect(harness.engine.expire(100)).toBe(2);
    expect(await harness.find({ projection: { _id: 1 } })).toEqual([
      { _id: 'young' },
      { _id: 'text' },
      { _id: 'none' },
    ]);
    harness.now += 1;
    expect(harness.engine.expire(100)).toBe(1);
    expect(harness.engine.expire(100)).toBe(0);
  });

  it('remove no more than a step allows', async () => {
    await harness.index({ at: -1 }, { expireAfterSeconds: 0 });
    await harness.insert(Array.from({ length: 7 }, (_, _id) => ({ _id, at: new Date(0) })));
    expect([harness.engine.expire(5), harness.engine.expire(5), harness.engine.expire(5)]).toEqual([5, 2, 0]);
  });
});

describe('numbers', () => {
  it('keep their type, and grow from Int32 to Long when they must', async () => {
    await harness.insert([
      { _id: 1, i: 2147483647, l: Long.fromNumber(1), d: 1.5, h: Long.fromBigInt(2n ** 63n - 1n) },
    ]);
    await harness.run('update', { updates: [{ q: { _id: 1 }, u: { $inc: { i: 1, l: 1, d: 1 } } }] });
    const [doc] = await harness.find({});
    expect([doc?.i, doc?.l]).toEqual([Long.fromNumber(2147483648), Long.fromNumber(2)]);
    const { writeErrors } = await harness.run('update', { updates: [{ q: { _id: 1 }, u: { $inc: { h: 1 } } }] });
    expect(plain(writeErrors)).toMatchObject([{ code: 2 }]);
    const reply = await harness.run('findAndModify', {
      query: {},
      update: [{ $set: { sum: { $add: ['$l', 1] }, at: '$$NOW', copy: '$$ROOT.d' } }],
      new: true,
    });
    expect(reply.value).toMatchObject({ sum: Long.fromNumber(3), at: new Date(harness.now), copy: { value: 2.5 } });
  });
});

describe('updates', () => {
  const cases: Array<[string, Doc, unknown, number]> = [
    ['a conflict of paths', {}, { $set: { a: 1, 'a.b': 1 } }, 40],
    ['another _id', {}, { $set: { _id: 2 } }, 66],
    ['an unknown operator', {}, { $foo: { a: 1 } }, 9],
    ['a number added to a text', {}, { $inc: { text: 1 } }, 14],
    ['a field of a number', {}, { $set: { 'n.x': 1 } }, 28],
    ['an empty path part', {}, { $set: { 'a..b': 1 } }, 56],
    ['an array filter nobody uses', { arrayFilters: [{ e: 1 }] }, { $set: { a: 1 } }, 9],
    ['a positional operator without a match', {}, { $set: { 'list.$': 1 } }, 2],
    ['a stage that is none of updates', {}, [{ $match: {} }], 72],
    ['operators and fields mixed', {}, { a: 1, $set: { b: 1 } }, 9],
  ];
  it.each(cases)('refuse %s and change nothing', async (_, options, u, expected) => {
    const doc = { _id: 1, text: 'x', n: 1, list: [1, 2] };
    await harness.insert([doc]);
    const { writeErrors } = await harness.run('update', { updates: [{ q: { _id: 1 }, u, ...options }] });
    expect(plain(writeErrors)).toMatchObject([{ index: 0, code: expected }]);
    expect(await contents()).toEqual([doc]);
  });

  it('make an upsert from the equalities of its filter', async () => {
    const q = { 'key.a': 1, $and: [{ b: { $eq: 'x' } }], c: { $gt: 5 } };
    const reply = await harness.run('update', {
      updates: [{ q, u: { $set: { d: 1 }, $setOnInsert: { e: 2 } }, upsert: true }],
    });
    expect(plain(reply)).toMatchObject({ n: 1, nModified: 0, upserted: [{ index: 0 }] });
    const [doc] = (await contents()) as Doc[];
    expect(doc).toMatchObject({ key: { a: 1 }, b: 'x', d: 1, e: 2 });
    expect(doc).not.toHaveProperty('c');
  });

  it('reach array elements by $, $[] and $[id]', async () => {
    await harness.insert([
      {
        _id: 1,
        list: [
          { k: 1, n: 0 },
          { k: 2, n: 0 },
          { k: 3, n: 0 },
        ],
      },
    ]);
    const updates = [
      { q: { 'list.k': 2 }, u: { $set: { 'list.$.n': 5 } } },
      { q: {}, u: { $inc: { 'list.$[].n': 1 } } },
      { q: {}, u: { $inc: { 'list.$[e].n': 10 } }, arrayFilters: [{ 'e.k': { $gte: 3 } }] },
    ];
    await harness.run('update', { updates });
    expect(await contents()).toEqual([
      {
        _id: 1,
        list: [
          { k: 1, n: 1 },
          { k: 2, n: 6 },
          { k: 3, n: 11 },
        ],
      },
    ]);
  });

  it('refuse documents above 16 MiB and nested deeper than 100 levels', async () => {
    const big = await harness.submitBytes('x'.repeat(16 * 1024 * 1024));
    expect(plain(big.writeErrors)).toMatchObject([{ code: 10334 }]);
    let deep: Doc = {};
    for (let i = 0; i < 120; i++) deep = { deep };
    expect(plain((await harness.insert([deep])).writeErrors)).toMatchObject([{ code: 15 }]);
  });
});

describe('commands', () => {
  it('refuse what they do not know with MongoDB codes', async () => {
    expect(code(await harness.run('explain', {}))).toBe(59);
    expect(code(await harness.run('find', { filter: { $foo: 1 } }))).toBe(2);
    expect(code(await harness.run('find', { filter: { a: { $foo: 1 } } }))).toBe(2);
    await harness.insert([{ _id: 1 }]);
    expect(code(await harness.run('aggregate', { pipeline: [{ $lookup: {} }], cursor: {} }))).toBe(40324);
    expect(code(await harness.run('find', { collation: { locale: 'de' } }))).toBe(2);
    expect(code(await harness.run('dropIndexes', { index: 'nope' }))).toBe(27);
    expect(code(await harness.run('getMore', { getMore: Long.fromNumber(5), collection: 'things' }))).toBe(43);
  });

  it('refuse $expr in an upsert and take it elsewhere', async () => {
    await harness.insert([{ _id: 1, a: 1, b: 2 }]);
    const $expr = { $lt: ['$a', '$b'] };
    expect(await harness.find({ filter: { $expr } })).toHaveLength(1);
    expect(
      code(await harness.run('findAndModify', { query: { $expr }, update: { $set: { a: 1 } }, upsert: true })),
    ).toBe(224);
  });

  it('stop work that takes longer than maxTimeMS', async () => {
    await harness.insert(Array.from({ length: 400 }, (_, _id) => ({ _id })));
    const clock = harness.engine as unknown as { clock: { monotonic: () => number } };
    let time = 0;
    clock.clock.monotonic = () => (time += 10);
    expect(code(await harness.run('find', { filter: { a: 1 }, maxTimeMS: 25 }))).toBe(50);
  });

  it('keep a bounded number of cursors, for a bounded idle time', async () => {
    await harness.insert([{ _id: 1 }, { _id: 2 }]);
    const open = async (): Promise<unknown> =>
      ((await harness.run('find', { batchSize: 1 })) as { cursor: { id: unknown } }).cursor.id;
    const more = async (id: unknown): Promise<unknown> =>
      code(await harness.run('getMore', { getMore: id, collection: 'things' }));
    const first = await open();
    const second = await open();
    for (let i = 0; i < 255; i++) await open();
    expect(await more(first)).toBe(43);
    expect(await more(second)).toBeNull();
    const last = await open();
    harness.now += 10 * 60_000;
    expect(await more(last)).toBe(43);
  });
});
