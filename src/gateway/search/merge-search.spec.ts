import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import fc from 'fast-check';
import { FakeSubsystemDirectory } from '../../../test/support/fake-subsystem-directory.js';
import {
  type SearchResult,
  SearchFacetsSchema,
  SearchRequestSchema,
  SearchResponseSchema,
  SearchResultSchema,
  SuggestionSchema,
} from '../gen/flowwatch/v1/search_service_pb.js';
import { mergeFacets, mergeResults } from './merge-search.js';
import { mergeSuggestions } from './merge-suggestions.js';
import { type SearchPlace, type SearchPlaces, decodeSearchCursor, encodeSearchCursor } from './search-cursor.js';
import { SearchSource } from './search-source.js';

const directory = new FakeSubsystemDirectory();
const subsystems = ['a', 'b', 'c'].map((id) => directory.add({ id }));
const request = create(SearchRequestSchema, { query: 'late orders' });
const BEGIN: SearchPlace = { cursor: '', size: 5, taken: 0, last: '', best: 0 };

/** What each of three subsystems has found: best first, on a scale of its own. */
type Found = readonly (readonly SearchResult[])[];

function found(scores: readonly (readonly number[])[]): Found {
  return scores.map((own, index) =>
    own
      .toSorted((a, b) => b - a)
      .map((score, rank) => create(SearchResultSchema, { id: `${'abc'[index]}${rank}`, score: score * 10 ** index })),
  );
}

function sources(all: Found, places: SearchPlaces, size: number): SearchSource[] {
  return subsystems.map((subsystem, index) => {
    const ask = (cursor: string, limit: number) => {
      const from = Number(cursor);
      const results = (all[index] ?? []).slice(from, from + limit);
      const isLast = from + limit >= (all[index]?.length ?? 0);
      const pagination = { nextCursor: isLast ? '' : String(from + limit) };
      return Promise.resolve(create(SearchResponseSchema, { results, pagination }));
    };
    const place = places.get(subsystem.id);
    return new SearchSource(subsystem, ask, place ?? { ...BEGIN, size }, place !== undefined);
  });
}

async function pages(all: Found, limit: number): Promise<string[]> {
  const seen: string[] = [];
  let places: SearchPlaces = new Map();
  for (;;) {
    const three = sources(all, places, limit);
    await Promise.all(three.map((source) => source.start()));
    seen.push(...(await mergeResults(three, limit)).map(({ result }) => result.id));
    if (!three.some(({ hasMore }) => hasMore)) return seen;
    places = new Map(three.map(({ subsystem, place }) => [subsystem.id, place]));
    places = decodeSearchCursor(request, encodeSearchCursor(request, places));
  }
}

const anyScores = fc.tuple(...[0, 1, 2].map(() => fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 12 })));

describe('search results of several subsystems', () => {
  it('come each once and in one order, whatever the pages', async () => {
    await fc.assert(
      fc.asyncProperty(anyScores, fc.integer({ min: 1, max: 6 }), async (scores, limit) => {
        const all = found(scores);
        const seen = await pages(all, limit);
        expect(seen.toSorted()).toEqual(all.flatMap((own) => own.map(({ id }) => id)).toSorted());
        expect(seen).toEqual(await pages(all, 100));
      }),
    );
  });

  it('are measured by the best of their own: the scales of engines differ', async () => {
    expect(
      await pages(
        found([
          [8, 4, 2],
          [10, 9, 1],
        ]),
        10,
      ),
    ).toEqual(['a0', 'b0', 'b1', 'a1', 'a2', 'b2']);
  });

  it('come newest first where they have no scores', async () => {
    const at = (id: string, time: number) =>
      create(SearchResultSchema, { id, context: { timestamp: timestampFromMs(time) } });
    expect(await pages([[at('a0', 30), at('a1', 10)], [at('b0', 20)], []], 10)).toEqual(['a0', 'b0', 'a1']);
  });

  it('go on behind the last one shown when others have come before it, and say so', async () => {
    const before = found([[5, 4, 3, 2], [], []]);
    const [first] = sources(before, new Map(), 3);
    await first?.start();
    await mergeResults(first ? [first] : [], 2);
    const newer = create(SearchResultSchema, { id: 'new', score: 9 });
    const after = [[newer, ...(before[0] ?? [])]];
    const [again] = sources(after, new Map(first ? [['a', first.place]] : []), 3);
    await again?.start();
    const rest = await mergeResults(again ? [again] : [], 10);
    expect(rest.map(({ result }) => result.id)).toEqual(['a2', 'a3']);
    expect(again?.isUnstable).toBe(true);
  });

  it.each(['2abc', '1', '1bm9uZQ', `1${'a'.repeat(70_000)}`])('refuse the cursor %.10s', (cursor) => {
    expect(() => decodeSearchCursor(request, cursor)).toThrow(ConnectError);
  });

  it('refuse the cursor of another search', () => {
    const cursor = encodeSearchCursor(request, new Map([['a', BEGIN]]));
    expect(
      decodeSearchCursor(create(SearchRequestSchema, { query: request.query, pagination: { limit: 9 } }), cursor).size,
    ).toBe(1);
    let thrown: unknown;
    try {
      decodeSearchCursor(create(SearchRequestSchema, { query: 'early orders' }), cursor);
    } catch (error) {
      thrown = error;
    }
    expect(ConnectError.from(thrown).code).toBe(Code.InvalidArgument);
  });
});

describe('what is counted', () => {
  it('adds facets, whatever their values are called', () => {
    const facets = (status: Record<string, number>) => create(SearchFacetsSchema, { status });
    expect(mergeFacets([facets({ failed: 2, toString: 1 }), facets({ failed: 3 })]).status).toEqual({
      failed: 5,
      toString: 1,
    });
  });

  it('adds suggestions, the most frequent first', () => {
    const suggestion = (value: string, count: number) => create(SuggestionSchema, { value, count });
    const all = [suggestion('x', 2), suggestion('y', 3), suggestion('x', 2), suggestion('a', 3)];
    expect(mergeSuggestions(all, 3).map(({ value, count }) => [value, count])).toEqual([
      ['x', 4],
      ['a', 3],
      ['y', 3],
    ]);
    expect(mergeSuggestions(all, 1)).toHaveLength(1);
  });
});
