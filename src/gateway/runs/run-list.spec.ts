import { describe, expect, it } from '@jest/globals';
import { type MessageInitShape, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { FakeSubsystemDirectory } from '../../../test/support/fake-subsystem-directory.js';
import { ListedSubsystem } from '../../../test/support/listed-subsystem.js';
import { UndecodedListRunsResponseSchema } from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import { ListRunsRequestSchema, ListRunsResponseSchema } from '../gen/flowwatch/v1/run_service_pb.js';
import { RunSchema, RunStatus, WorkflowDefinitionSchema } from '../gen/flowwatch/v1/types_pb.js';
import { CachedRunOwners } from '../routing/cached-run-owners.js';
import type { Caller } from '../routing/caller.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { RunList } from './run-list.js';

const caller: Caller = {
  principal: { kind: 'user', id: 'somebody', role: 'viewer', tenantId: 'default' },
  signal: new AbortController().signal,
};

class Room {
  readonly directory = new FakeSubsystemDirectory();
  readonly owners = new CachedRunOwners(
    this.directory,
    new FakeClock(),
    { uuid: () => 'made-up' },
    { runCacheSize: 100 },
  );
  readonly list = new RunList(this.directory, this.owners, new WorkflowOwners(this.directory, new FakeClock()));

  /** With a run of the name `<id><second>` for each second. */
  add(id: string, seconds: readonly number[], subsystem = new ListedSubsystem(id)): ListedSubsystem {
    for (const startedAt of seconds) subsystem.runs.push({ id: `${id}${startedAt}`, startedAt });
    this.directory.add({ id, connection: subsystem.connection });
    return subsystem;
  }

  async ask(request: MessageInitShape<typeof ListRunsRequestSchema> = {}, by: Caller = caller) {
    const { value, failures, notes } = await this.list.listRuns(by, create(ListRunsRequestSchema, request));
    const { nextCursor = '', totalCount = 0 } = value.pagination ?? {};
    return { ids: value.runs.map(({ id }) => id), runs: value.runs, nextCursor, totalCount, failures, notes };
  }
}

describe('RunList', () => {
  it('gives the newest of all first, in pages of the size asked for, with the sum of the totals', async () => {
    const room = new Room();
    room.add('a', [10, 30, 50]);
    room.add('b', [20, 30, 40]);
    const first = await room.ask({ pagination: { limit: 4 } });
    expect(first).toMatchObject({ ids: ['a50', 'b40', 'a30', 'b30'], totalCount: 6, failures: [], notes: [] });
    const second = await room.ask({ pagination: { limit: 4, cursor: first.nextCursor } });
    expect(second).toMatchObject({ ids: ['b20', 'a10'], nextCursor: '', totalCount: 6, notes: [] });
  });

  it('asks nobody for more than a page, and mixed subsystems for little more than their share', async () => {
    const room = new Room();
    const subsystems = Array.from({ length: 10 }, (_, i) =>
      room.add(
        `s${i}`,
        Array.from({ length: 60 }, (__, n) => n * 10 + i),
      ),
    );
    expect((await room.ask({ pagination: { limit: 50 } })).ids).toHaveLength(50);
    expect(subsystems.map(({ requests }) => requests.map(({ pagination }) => pagination?.limit))).toEqual(
      subsystems.map(() => [12]),
    );
  });

  it('reads a subsystem on that has all of the page', async () => {
    const room = new Room();
    room.add('a', [1]);
    const b = room.add(
      'b',
      Array.from({ length: 60 }, (_, n) => n + 10),
    );
    const { ids, nextCursor } = await room.ask({ pagination: { limit: 50 } });
    expect(ids).toEqual(Array.from({ length: 50 }, (_, n) => `b${69 - n}`));
    expect(b.requests).toHaveLength(2);
    expect((await room.ask({ pagination: { limit: 50, cursor: nextCursor } })).ids).toEqual([
      ...Array.from({ length: 10 }, (_, n) => `b${19 - n}`),
      'a1',
    ]);
  });

  it('has nothing of nobody, and of subsystems of another tenant', async () => {
    const room = new Room();
    expect(await room.ask()).toMatchObject({ ids: [], nextCursor: '', totalCount: 0, failures: [] });
    const other = new ListedSubsystem('other');
    other.runs.push({ id: 'secret', startedAt: 1 });
    room.directory.add({ id: 'other', tenantId: 'team-a', connection: other.connection });
    expect((await room.ask()).ids).toEqual([]);
    expect(other.requests).toEqual([]);
  });

  it('names who did not answer, does not make up a total, and goes on where the missing one was', async () => {
    const room = new Room();
    room.add('a', [10, 20]);
    const b = room.add('b', [15, 25]);
    b.connection.fail('ListRuns', Code.DeadlineExceeded);
    const first = await room.ask({ pagination: { limit: 50 } });
    expect(first).toMatchObject({
      ids: ['a20', 'a10'],
      totalCount: 0,
      failures: [{ subsystemId: 'b', reason: 'timeout' }],
    });
    await expect(room.ask({ pagination: { cursor: first.nextCursor } })).rejects.toMatchObject({
      code: Code.Unavailable,
    });
    b.connection.heal('ListRuns');
    const second = await room.ask({ pagination: { cursor: first.nextCursor } });
    expect(second).toMatchObject({
      ids: ['b25', 'b15'],
      totalCount: 4,
      failures: [],
      notes: ['unstable'],
      nextCursor: '',
    });
  });

  it('does not wait for one that does not list runs at all', async () => {
    const room = new Room();
    room.add('a', [10]);
    room.add('b', []).connection.fail('ListRuns', Code.Unimplemented);
    expect(await room.ask()).toMatchObject({
      nextCursor: '',
      failures: [{ subsystemId: 'b', reason: 'unimplemented' }],
    });
  });

  it('does not take the length of a page for a total', async () => {
    const room = new Room();
    room.add('a', [10, 20, 30]);
    room.add('b', [15], new ListedSubsystem('b', 'offset')).saysPageLength = true;
    expect((await room.ask({ pagination: { limit: 2 } })).totalCount).toBe(4);
    room.add('c', [1, 2, 3], new ListedSubsystem('c', 'offset')).saysPageLength = true;
    expect((await room.ask({ pagination: { limit: 2 } })).totalCount).toBe(0);
  });

  it('orders a page of an engine that does not keep the order, and says so', async () => {
    const room = new Room();
    const a = room.add('a', [10, 30, 50], new ListedSubsystem('a', 'offset'));
    a.ignoresOrder = true;
    room.add('b', [20, 40]);
    const answer = await room.ask({ orderBy: 'started_at', pagination: { limit: 50 } });
    expect(answer).toMatchObject({ ids: ['a10', 'b20', 'a30', 'b40', 'a50'], notes: ['unstable'], nextCursor: '' });
  });

  it('lists a run once that its engine gives more than once, and says so', async () => {
    const room = new Room();
    room.add('a', [10, 30, 30, 30]);
    room.add('b', [20]);
    expect(await room.ask()).toMatchObject({ ids: ['a30', 'b20', 'a10'], totalCount: 0, notes: ['unstable'] });
  });

  it('gives every run of such an engine once, page by page', async () => {
    const room = new Room();
    const a = room.add(
      'a',
      Array.from({ length: 30 }, (_, n) => n),
      new ListedSubsystem('a', 'offset', 4),
    );
    a.ignoresOrder = true;
    room.add('b', [5, 15]);
    const ids: string[] = [];
    for (let cursor = ''; ids.length < 100;) {
      const page = await room.ask({ orderBy: 'started_at', pagination: { limit: 3, cursor } });
      ids.push(...page.ids);
      cursor = page.nextCursor;
      if (cursor === '') break;
    }
    expect(ids.toSorted()).toEqual([...a.runs.map(({ id }) => id), 'b5', 'b15'].toSorted());
  });

  it('has runs that did not start last, or first when ascending', async () => {
    const room = new Room();
    room.add('a', [10]);
    room.add('b', [5]).runs.push({ id: 'waiting', startedAt: undefined });
    expect((await room.ask()).ids).toEqual(['a10', 'b5', 'waiting']);
    expect((await room.ask({ orderBy: 'started_at' })).ids).toEqual(['waiting', 'b5', 'a10']);
  });

  it('refuses what it does not know, naming the field', async () => {
    const room = new Room();
    room.add('a', [1, 2, 3]);
    room.add('b', [1, 2, 3]);
    const { nextCursor: cursor } = await room.ask({ pagination: { limit: 2 } });
    const refused = async (request: MessageInitShape<typeof ListRunsRequestSchema>, field: string) => {
      const refusal = { code: Code.InvalidArgument, details: [{ value: { fieldViolations: [{ field }] } }] };
      await expect(room.ask(request)).rejects.toMatchObject(refusal);
    };
    await refused({ orderBy: 'toString' }, 'order_by');
    await refused({ pagination: { limit: -1 } }, 'pagination.limit');
    for (const bad of ['nonsense', '2j', `${cursor}x~`, '1jAAAA', '1zAAAA', 'a'.repeat(70_000)]) {
      await refused({ pagination: { cursor: bad } }, 'pagination.cursor');
    }
    await refused({ pagination: { cursor }, orderBy: 'id' }, 'pagination.cursor');
    await refused({ pagination: { cursor }, filter: { foreignId: 'order-1' } }, 'pagination.cursor');
    expect((await room.ask({ pagination: { cursor } })).ids).toHaveLength(4);
  });

  it('tells runs of the same id apart, and workflows', async () => {
    const room = new Room();
    room.add('a', []).runs.push({ id: 'same', startedAt: 2 });
    room.add('b', []).runs.push({ id: 'same', startedAt: 1 }, { id: 'other', startedAt: 0 });
    expect((await room.ask()).ids).toEqual(['a~same', 'b~same', 'other']);
    expect(await room.owners.find(caller, 'b~same')).toMatchObject({ subsystem: { id: 'b' }, runId: 'same' });
    expect((await room.ask()).runs.map(({ workflowId }) => workflowId)).toEqual(['deploy', 'deploy', 'deploy']);
    const workflows = [create(WorkflowDefinitionSchema, { id: 'deploy' })];
    for (const id of ['a', 'b']) room.directory.change(id, { workflows });
    expect((await room.ask()).runs.map(({ workflowId }) => workflowId)).toEqual(['a~deploy', 'b~deploy', 'b~deploy']);
  });

  it('asks those that a filter selects, each for its own', async () => {
    const room = new Room();
    const a = room.add('a', [1]);
    const b = room.add('b', [2]);
    expect((await room.ask({ filter: { subsystemIds: ['b'] } })).ids).toEqual(['b2']);
    expect((await room.ask({ filter: { workflowIds: ['a~deploy'] } })).runs).toMatchObject([
      { id: 'a1', workflowId: 'a~deploy' },
    ]);
    expect([a.requests.length, b.requests.length]).toEqual([1, 1]);
    expect(a.requests[0]?.filter?.workflowIds).toEqual(['deploy']);
    expect(b.requests[0]?.filter?.subsystemIds).toEqual([]);
    await room.ask({ filter: { subsystemIds: ['payments'] } });
    expect(a.requests[1]?.filter?.subsystemIds).toEqual(['payments']);
  });

  it('leaves out what does not match where an engine ignores the filter', async () => {
    const room = new Room();
    const statuses = [RunStatus.FAILED, RunStatus.SUCCEEDED];
    const subsystem = new ListedSubsystem('a', 'offset', 2, ({ id, startedAt = 0 }) =>
      create(RunSchema, {
        id,
        status: statuses[startedAt % 2] ?? RunStatus.UNSPECIFIED,
        startedAt: timestampFromMs(startedAt * 1_000),
        metadata: { tier: String(startedAt % 3) },
      }),
    );
    room.add('a', [0, 1, 2, 3, 4, 5, 6], subsystem);
    expect((await room.ask({ filter: { statuses: [RunStatus.FAILED] } })).ids).toEqual(['a6', 'a4', 'a2', 'a0']);
    expect((await room.ask({ filter: { metadataMatch: { tier: '0' } } })).ids).toEqual(['a6', 'a3', 'a0']);
    const timeRange = { from: timestampFromMs(0), to: timestampFromMs(2_000) };
    expect(await room.ask({ filter: { timeRange } })).toMatchObject({ ids: ['a2', 'a1', 'a0'], totalCount: 0 });
  });

  it('passes the bytes of runs on as they came', async () => {
    const room = new Room();
    const run = create(RunSchema, {
      id: 'r1',
      metadata: { k: 'v' },
      $unknown: [{ no: 99, wireType: 0, data: Uint8Array.of(7) }],
    });
    room.add('a', [1], new ListedSubsystem('a', 'keyset', 10, () => run));
    const { value } = await room.list.listRunsUndecoded(caller, create(ListRunsRequestSchema));
    expect(value.runs.map((bytes) => Buffer.from(bytes))).toEqual([Buffer.from(toBinary(RunSchema, run))]);
    const wire = toBinary(UndecodedListRunsResponseSchema, value);
    expect(fromBinary(ListRunsResponseSchema, wire).runs[0]?.metadata).toEqual({ k: 'v' });
  });

  it('leaves out a run without an id with its subsystem, and ends with its caller', async () => {
    const room = new Room();
    room.add('a', [1]);
    room.add('b', [2], new ListedSubsystem('b', 'keyset', 10, () => create(RunSchema, { id: '' })));
    expect(await room.ask()).toMatchObject({ ids: ['a1'], failures: [{ subsystemId: 'b', reason: 'failed' }] });
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(room.ask({}, { ...caller, signal: gone })).rejects.toMatchObject({ code: Code.Canceled });
  });
});
