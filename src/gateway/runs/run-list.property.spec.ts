import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import fc from 'fast-check';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { FakeSubsystemDirectory } from '../../../test/support/fake-subsystem-directory.js';
import { ListedSubsystem, type Paging } from '../../../test/support/listed-subsystem.js';
import { ListRunsRequestSchema } from '../gen/flowwatch/v1/run_service_pb.js';
import { CachedRunOwners } from '../routing/cached-run-owners.js';
import type { Caller } from '../routing/caller.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { RunList } from './run-list.js';

const IDS = ['alpha', 'beta', 'gamma', 'delta'];
const caller: Caller = {
  principal: { kind: 'user', id: 'somebody', role: 'viewer', tenantId: 'default' },
  signal: new AbortController().signal,
};

type Event =
  | { readonly kind: 'insert'; readonly at: number; readonly startedAt: number; readonly count: number }
  | { readonly kind: 'fail' | 'heal' | 'leave' | 'join'; readonly at: number };

interface Place {
  readonly startedAt: number;
  readonly subsystemId: string;
}

const at = fc.integer({ min: 0, max: IDS.length - 1 });
const second = fc.integer({ min: 0, max: 12 });
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant('insert' as const), at, startedAt: second, count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ kind: fc.constantFrom('fail' as const, 'heal' as const, 'leave' as const, 'join' as const), at }),
);
const world = fc.record({
  runs: fc.array(fc.array(second, { maxLength: 25 }), { minLength: IDS.length, maxLength: IDS.length }),
  mostPerPage: fc.array(fc.integer({ min: 2, max: 12 }), { minLength: IDS.length, maxLength: IDS.length }),
  present: fc.array(fc.boolean(), { minLength: IDS.length, maxLength: IDS.length }),
  limits: fc.array(fc.integer({ min: 1, max: 15 }), { minLength: 1, maxLength: 4 }),
  descending: fc.boolean(),
  /** What happens before each page. */
  between: fc.array(fc.array(event, { maxLength: 3 }), { maxLength: 12 }),
});

type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

/** Plays it through to the end of the list, and says what was listed and what should have been. */
async function play({ runs, mostPerPage, present, limits, descending, between }: World, paging: Paging) {
  const directory = new FakeSubsystemDirectory();
  const clock = new FakeClock();
  const owners = new CachedRunOwners(directory, clock, { uuid: () => 'made-up' }, { runCacheSize: 10_000 });
  const list = new RunList(directory, owners, new WorkflowOwners(directory, clock));
  let serial = 0;
  // Offsets tell ties apart no better than anybody else: there each run has a time of its own.
  const secondOf = (startedAt: number): number => (paging === 'keyset' ? startedAt : startedAt * 10_000 + serial);
  const newRun = (id: string, startedAt: number) => ({ id: `${id}-${serial++}`, startedAt: secondOf(startedAt) });
  const subsystems = IDS.map((id, i) => {
    const subsystem = new ListedSubsystem(id, paging, mostPerPage[i]);
    for (const startedAt of runs[i] ?? []) subsystem.runs.push(newRun(id, startedAt));
    return subsystem;
  });
  const isPresent = [...present];
  const enter = ({ id, connection }: ListedSubsystem): void => void directory.add({ id, connection });
  subsystems.forEach((subsystem, i) => isPresent[i] && enter(subsystem));

  const listed: Array<Place & { runId: string }> = [];
  const expected = new Set<string>();
  const upTo = (): Place | undefined =>
    listed.reduce<Place | undefined>((last, run) => (!last || isBehind(run, last) ? run : last), undefined);
  const isBehind = (a: Place, b: Place): boolean =>
    a.startedAt === b.startedAt ? a.subsystemId > b.subsystemId : a.startedAt < b.startedAt === descending;
  /** From now on it takes part: all its runs that come after what was listed are to be listed. */
  const owe = (subsystem: ListedSubsystem): void => {
    const last = upTo();
    for (const { id, startedAt = 0 } of subsystem.runs) {
      if (!last || isBehind({ startedAt, subsystemId: subsystem.id }, last)) expected.add(id);
    }
  };
  const started = new Set<ListedSubsystem>();
  const happen = (what: Event): void => {
    const subsystem = subsystems[what.at];
    if (!subsystem) return;
    if (what.kind === 'insert') {
      for (let i = 0; i < what.count; i += 1) subsystem.runs.push(newRun(subsystem.id, what.startedAt));
    }
    if (what.kind === 'fail') subsystem.connection.fail('ListRuns', Code.Unavailable);
    if (what.kind === 'heal') subsystem.connection.heal('ListRuns');
    if (what.kind === 'leave' && isPresent[what.at]) {
      isPresent[what.at] = false;
      directory.remove(subsystem.id);
    }
    if (what.kind === 'join' && !isPresent[what.at]) {
      isPresent[what.at] = true;
      enter(subsystem);
    }
  };

  let cursor = '';
  let unstable = false;
  let outOfOrder = false;
  for (let page = 0; ; page += 1) {
    if (page > 500) throw new Error('the list does not end');
    for (const what of between[page] ?? []) happen(what);
    const isDisturbed = page < between.length;
    subsystems.forEach((subsystem, i) => {
      if (!isPresent[i] || started.has(subsystem)) return;
      started.add(subsystem);
      owe(subsystem);
    });
    const limit = limits[page % limits.length] ?? 1;
    const request = { orderBy: 'started_at', descending, pagination: { cursor, limit } };
    try {
      const answer = await list.listRuns(caller, create(ListRunsRequestSchema, request));
      unstable ||= answer.notes.includes('unstable');
      expect(answer.value.runs.length).toBeLessThanOrEqual(limit);
      const before = listed.length;
      for (const { id, startedAt } of answer.value.runs) {
        const subsystemId = id.split('-')[0] ?? '';
        const place = { runId: id, subsystemId, startedAt: Number(startedAt?.seconds) };
        const previous = listed.at(-1);
        if (previous && isBehind(previous, place)) {
          outOfOrder = true;
          // Within a page the order holds always.
          expect(listed.length).toBe(before);
        }
        listed.push(place);
      }
      cursor = answer.value.pagination?.nextCursor ?? '';
      if (cursor === '') break;
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== Code.Unavailable) throw error;
      if (!isDisturbed) for (const subsystem of subsystems) subsystem.connection.heal('ListRuns');
    }
  }
  const gone = new Set(subsystems.filter((_, i) => !isPresent[i]).map(({ id }) => id));
  const missed = [...expected].filter(
    (id) => !gone.has(id.split('-')[0] ?? '') && !listed.some(({ runId }) => runId === id),
  );
  return { listed: listed.map(({ runId }) => runId), missed, unstable, outOfOrder };
}

describe('RunList, whatever happens between two pages', () => {
  it.each(['keyset', 'offset'] as const)(
    'neither repeats nor skips over %s cursors',
    async (paging) => {
      await fc.assert(
        fc.asyncProperty(world, async (what) => {
          const { listed, missed, unstable, outOfOrder } = await play(what, paging);
          expect(listed).toEqual([...new Set(listed)]);
          expect(missed).toEqual([]);
          if (outOfOrder) expect(unstable).toBe(true);
        }),
        { numRuns: 150 },
      );
    },
    60_000,
  );

  it('is in order, and says nothing of being unstable, while subsystems do no more than join', async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.constantFrom('keyset' as const, 'offset' as const), async (what, paging) => {
        const { listed, missed, unstable, outOfOrder } = await play(
          { ...what, between: what.between.map((events) => events.filter(({ kind }) => kind === 'join')) },
          paging,
        );
        expect({ missed, unstable, outOfOrder }).toEqual({ missed: [], unstable: false, outOfOrder: false });
        expect(listed).toEqual([...new Set(listed)]);
      }),
      { numRuns: 100 },
    );
  }, 60_000);
});
