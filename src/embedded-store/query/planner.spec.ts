import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EngineHarness } from '../testing/engine-harness.js';

const COUNT = 2000;
const STATES = ['queued', 'claimed', 'running', 'done'];

describe('index use', () => {
  let harness: EngineHarness;
  beforeEach(async () => {
    harness = new EngineHarness();
    await harness.index({ state: 1, priority: -1, at: 1 });
    await harness.index({ tags: 1 });
    await harness.index({ token: 1 }, { unique: true, partialFilterExpression: { token: { $exists: true } } });
    await harness.insert(
      Array.from({ length: COUNT }, (_, i) => ({
        _id: i,
        state: STATES[i % 4],
        priority: i % 10,
        at: i,
        tags: [`t${i % 50}`, `u${i % 7}`],
        ...(i % 2 ? { token: `k${i}` } : {}),
      })),
    );
  });
  afterEach(() => harness.close());

  const keys = (): number => harness.engine.stats.keysExamined;
  const docs = (): number => harness.engine.stats.docsExamined;

  it('examines one key for an id', async () => {
    expect(await harness.find({ filter: { _id: 77 } })).toHaveLength(1);
    expect([keys(), docs()]).toEqual([1, 1]);
  });

  it('stops after the limit when an index gives the order', async () => {
    const found = await harness.find({ filter: { state: 'queued' }, sort: { priority: -1, at: 1 }, limit: 10 });
    expect(found.map(({ at }) => Number(at))).toEqual([8, 28, 48, 68, 88, 108, 128, 148, 168, 188]);
    expect([keys(), docs()]).toEqual([10, 10]);
  });

  it('walks an index backwards for the opposite order', async () => {
    const found = await harness.find({ filter: { state: 'queued' }, sort: { priority: 1, at: -1 }, limit: 3 });
    expect(found.map(({ at }) => Number(at))).toEqual([1980, 1960, 1940]);
    expect(keys()).toBe(3);
  });

  it('takes only the first of each stretch for $in with an order and a limit', async () => {
    const filter = { state: { $in: ['queued', 'running'] } };
    const found = await harness.find({ filter, sort: { priority: -1, at: 1 }, limit: 5 });
    expect(found.map(({ at }) => Number(at))).toEqual([8, 18, 28, 38, 48]);
    expect(keys()).toBe(10);
  });

  it('bounds a range below an equality', async () => {
    const found = await harness.find({ filter: { state: 'queued', priority: { $gte: 7, $lt: 9 } } });
    expect(found).toHaveLength(100);
    expect(keys()).toBe(100);
  });

  it('counts from the index without a document', async () => {
    expect(await harness.run('count', { query: { state: 'queued', priority: 8 } })).toMatchObject({
      n: { value: 100 },
    });
    expect([keys(), docs()]).toEqual([100, 0]);
  });

  it('finds array elements by a multikey index, each document once', async () => {
    const found = await harness.find({ filter: { tags: { $in: ['t0', 'u0'] } }, batchSize: 5000 });
    const expected = Array.from({ length: COUNT }, (_, i) => i).filter((i) => i % 50 === 0 || i % 7 === 0);
    expect(found.map(({ _id }) => Number(_id)).sort((a, b) => a - b)).toEqual(expected);
    expect(keys()).toBeLessThan(COUNT / 4);
  });

  it('uses a partial index only for filters that imply its own', async () => {
    await harness.find({ filter: { token: 'k101' } });
    expect(docs()).toBe(1);
    expect(await harness.find({ filter: { token: null }, batchSize: 5000 })).toHaveLength(COUNT / 2);
    expect(docs()).toBe(COUNT);
  });

  it('walks the branches of an $or', async () => {
    const found = await harness.find({ filter: { $or: [{ _id: 5 }, { token: 'k7' }, { token: 'k5' }] } });
    expect(found.map(({ _id }) => Number(_id))).toEqual([5, 7]);
    expect(docs()).toBe(3);
  });

  it('updates and deletes by index', async () => {
    await harness.run('update', { updates: [{ q: { token: 'k9' }, u: { $set: { seen: true } } }] });
    expect(docs()).toBe(1);
    await harness.run('delete', { deletes: [{ q: { state: 'done', priority: 3 }, limit: 0 }] });
    expect(docs()).toBe(100);
    await harness.run('findAndModify', {
      query: { state: 'queued' },
      sort: { priority: -1, at: 1 },
      update: { $set: { state: 'claimed' } },
    });
    expect(docs()).toBe(1);
  });

  it('goes on where a cursor stopped, whatever happens between', async () => {
    const first = (await harness.run('find', {
      filter: { state: 'queued' },
      sort: { priority: -1, at: 1 },
      batchSize: 20,
    })) as {
      cursor: { firstBatch: Array<{ at: number }>; id: unknown };
    };
    await harness.run('delete', { deletes: [{ q: { at: 388 }, limit: 1 }] });
    const more = (await harness.run('getMore', { getMore: first.cursor.id, collection: 'things', batchSize: 3 })) as {
      cursor: { nextBatch: Array<{ at: number }> };
    };
    expect(Number(first.cursor.firstBatch.at(-1)?.at)).toBe(388);
    expect(more.cursor.nextBatch.map(({ at }) => Number(at))).toEqual([408, 428, 448]);
  });

  it('bounds an array field by one condition only, for another element may meet the other', async () => {
    await harness.index({ scores: 1 });
    await harness.index({ 'parts.x': 1, 'parts.y': 1 });
    await harness.insert([
      {
        _id: 'apart',
        scores: [1, 20],
        parts: [
          { x: 1, y: 5 },
          { x: 5, y: 1 },
        ],
      },
      { _id: 'other', scores: [1], parts: [{ x: 2, y: 2 }] },
    ]);
    expect(await harness.find({ filter: { scores: { $gt: 5, $lt: 10 } } })).toMatchObject([{ _id: 'apart' }]);
    expect(await harness.find({ filter: { 'parts.x': 1, 'parts.y': 1 } })).toMatchObject([{ _id: 'apart' }]);
    expect(docs()).toBeLessThan(COUNT);
  });
});
