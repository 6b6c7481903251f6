import { beforeEach, describe, expect, it } from '@jest/globals';
import { type MessageInitShape, create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { AnswersRoom } from '../../../test/support/answers-room.js';
import {
  ExplainRequestSchema,
  ReindexRequestSchema,
  SearchRequestSchema,
  type SearchResultSchema,
  SearchService,
  SuggestRequestSchema,
} from '../gen/flowwatch/v1/search_service_pb.js';
import { CapabilitiesSchema, WorkflowDefinitionSchema } from '../gen/flowwatch/v1/types_pb.js';
import { SearchAnswers } from './search-answers.js';
import { SearchDirectory } from './search-directory.js';
import { SearchResults } from './search-results.js';

/** An engine with search that finds these for every query. */
function engine(name: string, results: readonly MessageInitShape<typeof SearchResultSchema>[]) {
  return (router: ConnectRouter): void =>
    void router.service(SearchService, {
      search: ({ pagination }) => {
        const from = Number(pagination?.cursor ?? '');
        const to = from + (pagination?.limit ?? 0);
        return {
          results: results.slice(from, to),
          facets: { status: { failed: 1 }, workflow: { w: 2 } },
          pagination: { nextCursor: to < results.length ? String(to) : '', totalCount: results.length },
          queryMs: results.length,
        };
      },
      suggest: () => ({
        suggestions: [
          { value: 'late', count: 2 },
          { value: name, count: 1 },
        ],
      }),
      explain: ({ rawQuery }) => ({ valid: true, normalizedQuery: `${name}:${rawQuery}` }),
      reindex: () => ({ runsQueued: 10 }),
      getIndexStats: () => ({
        indexedRuns: 5n,
        ingestionLagSeconds: results.length,
        lastIndexedAt: timestampFromMs(results.length * 1_000),
      }),
    });
}

const workflows = [create(WorkflowDefinitionSchema, { id: 'w' })];
const search = { enabled: true };
const offering = { workflows, capabilities: create(CapabilitiesSchema, { search }) };

let room: AnswersRoom;
let answers: SearchAnswers;

beforeEach(() => {
  room = new AnswersRoom();
  const directory = new SearchDirectory(room.directory);
  const results = new SearchResults(directory, room.runOwners, room.workflowOwners);
  answers = new SearchAnswers(directory, results, room.workflowOwners);
});

const find = (cursor = '', limit = 0) =>
  answers.search(room.caller(), create(SearchRequestSchema, { query: 'late', pagination: { cursor, limit } }));
const reindex = (workflowId = '') => answers.reindex(room.caller(), create(ReindexRequestSchema, { workflowId }));
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error).code,
  );

describe('Search', () => {
  it('merges what all find page by page, adds facets and totals, and tells runs of the same id apart', async () => {
    room.add(
      'orders',
      engine('orders', [
        { id: 'r1', runId: 'r1', workflowId: 'w', score: 2 },
        { id: 'x', runId: 'r2', score: 1 },
      ]),
      offering,
    );
    room.add('billing', engine('billing', [{ id: 'r1', runId: 'r1', workflowId: 'w', score: 900 }]), offering);
    const first = await find('', 2);
    expect(first.value.results.map(({ id, runId, workflowId }) => [id, runId, workflowId])).toEqual([
      ['billing~r1', 'billing~r1', 'billing~w'],
      ['orders~r1', 'orders~r1', 'orders~w'],
    ]);
    expect(first.value.facets).toMatchObject({ status: { failed: 2 }, workflow: { 'billing~w': 2, 'orders~w': 2 } });
    expect(first.value).toMatchObject({ queryMs: 2, pagination: { totalCount: 3 } });
    const second = await find(first.value.pagination?.nextCursor, 2);
    expect(second.value.results.map(({ runId }) => runId)).toEqual(['r2']);
    expect(second.value.pagination).toMatchObject({ nextCursor: '', totalCount: 3 });
    expect(second.value.facets?.status).toEqual({ failed: 2 });
    expect((await room.runOwners.find(room.caller(), 'r2')).subsystem.id).toBe('orders');
  });

  it('names those that do not offer it, and asks one that has not said', async () => {
    room.add('orders', engine('orders', [{ id: 'r1', runId: 'r1', score: 2 }]));
    const billing = room.add('billing', undefined, { capabilities: create(CapabilitiesSchema, { search: {} }) });
    room.add('old');
    const { value, failures } = await find();
    expect(value.results).toHaveLength(1);
    expect(failures).toEqual([
      { subsystemId: 'old', reason: 'unimplemented' },
      { subsystemId: 'billing', reason: 'unimplemented' },
    ]);
    expect(billing.count()).toBe(0);
  });

  it('is unimplemented only if none offers it', async () => {
    expect((await find()).value.results).toEqual([]);
    room.add('old');
    room.add('billing', undefined, { capabilities: create(CapabilitiesSchema, { search: {} }) });
    expect(await codeOf(find())).toBe(Code.Unimplemented);
    room.add('orders', engine('orders', []), offering).fail('*', Code.Unavailable);
    expect(await codeOf(find())).toBe(Code.Unavailable);
  });

  it('keeps the place of one that fails between pages', async () => {
    const orders = room.add(
      'orders',
      engine(
        'orders',
        ['a', 'b', 'c'].map((id, rank) => ({ id, score: 9 - rank })),
      ),
      offering,
    );
    room.add(
      'billing',
      engine(
        'billing',
        ['x', 'y', 'z', 'u'].map((id, rank) => ({ id, score: 9 - rank })),
      ),
      offering,
    );
    const first = await find('', 2);
    orders.fail('Search', Code.Unavailable);
    const second = await find(first.value.pagination?.nextCursor, 2);
    expect(second.failures).toEqual([{ subsystemId: 'orders', reason: 'unreachable' }]);
    orders.heal('Search');
    const third = await find(second.value.pagination?.nextCursor, 10);
    const seen = [first, second, third].flatMap(({ value }) => value.results.map(({ id }) => id));
    expect(seen.toSorted()).toEqual(['a', 'b', 'c', 'u', 'x', 'y', 'z']);
  });
});

describe('Suggest, Explain and GetIndexStats', () => {
  beforeEach(() => {
    room.add('orders', engine('orders', [{}, {}, {}]), offering);
    room.add('billing', engine('billing', [{}]), offering);
  });

  it('adds what is suggested', async () => {
    const { value } = await answers.suggest(room.caller(), create(SuggestRequestSchema, { prefix: 'l', limit: 2 }));
    expect(value.suggestions.map((each) => [each.value, each.count])).toEqual([
      ['late', 4],
      ['billing', 1],
    ]);
  });

  it('explains by the first that answers', async () => {
    const explain = () => answers.explain(room.caller(), create(ExplainRequestSchema, { rawQuery: 'q' }));
    expect((await explain()).value.normalizedQuery).toBe('billing:q');
    room.directory.setState('billing', 'stale');
    expect((await explain()).value.normalizedQuery).toBe('orders:q');
    room.directory.setState('orders', 'stale');
    expect(await codeOf(explain())).toBe(Code.Unavailable);
  });

  it('is as fresh as the one that lags most', async () => {
    const { value } = await answers.getIndexStats(room.caller());
    expect(value).toMatchObject({ indexedRuns: 10n, ingestionLagSeconds: 3, lastIndexedAt: timestampFromMs(1_000) });
  });
});

describe('Reindex', () => {
  it('goes to each once, or to the owner of a workflow alone', async () => {
    const orders = room.add('orders', engine('orders', []), offering);
    const billing = room.add('billing', engine('billing', []), offering);
    expect((await reindex()).value.runsQueued).toBe(20);
    expect([orders, billing].map(({ calls }) => calls.map(({ kind }) => kind))).toEqual([['mutate'], ['mutate']]);
    await reindex('orders~w');
    expect([orders.count('Reindex'), billing.count('Reindex')]).toEqual([2, 1]);
    expect(orders.calls[1]?.input).toMatchObject({ workflowId: 'w' });
    expect(await codeOf(reindex('w'))).toBe(Code.FailedPrecondition);
  });

  it('names who failed, and does not deny what may have happened', async () => {
    const orders = room.add('orders', engine('orders', []), offering);
    room.add('billing', engine('billing', []), offering).fail('Reindex', Code.Unavailable);
    expect(await reindex()).toMatchObject({
      value: { runsQueued: 10 },
      failures: [{ subsystemId: 'billing', reason: 'unreachable' }],
    });
    orders.fail('Reindex', Code.Unknown);
    expect(await codeOf(reindex())).toBe(Code.Unknown);
    expect(orders.count('Reindex')).toBe(2);
  });
});
