import { describe, expect, it } from '@jest/globals';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { LiveRoom, POLL_MS, Reading, type LiveSubsystem, told } from '../../../test/support/live-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import { UndecodedRunEventSchema } from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import {
  type RunEvent,
  RunEventSchema,
  RunEventType,
  type WatchRunsRequest,
  WatchRunsRequestSchema,
} from '../gen/flowwatch/v1/stream_service_pb.js';
import { type Run, RunSchema, RunStatus } from '../gen/flowwatch/v1/types_pb.js';
import type { Caller } from '../routing/caller.js';

const { CREATED, UPDATED, COMPLETED } = RunEventType;
const { RUNNING, SUCCEEDED, PAUSED } = RunStatus;

function runOf(id: string, status: RunStatus, change: Partial<Run> = {}): Run {
  return create(RunSchema, { id, status, workflowId: 'flow', subsystemId: 'domain', ...change } as never);
}

function watch(
  room: LiveRoom,
  request: Partial<WatchRunsRequest> = {},
  more: Partial<Caller> & { tenantId?: string } = {},
): Reading<RunEvent> & { readonly feed: ReturnType<LiveRoom['live']['watchRuns']> } {
  const abort = new AbortController();
  const caller = room.caller({ signal: abort.signal, ...more });
  const feed = room.live.watchRuns(caller, create(WatchRunsRequestSchema, request as never));
  return new Reading(feed, abort) as never;
}

function emit({ services }: LiveSubsystem, run: Run, eventType: RunEventType = UPDATED): void {
  services.emitRun({ eventType, run });
}

describe('WatchRuns', () => {
  it('tells what happens at all subsystems, those too that register later, and forgets who leaves', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing' });
    const reading = watch(room);
    await settle();
    emit(billing, runOf('a', RUNNING), CREATED);
    const shipping = room.join({ id: 'shipping' });
    await settle();
    emit(shipping, runOf('b', RUNNING), CREATED);
    emit(billing, runOf('a', SUCCEEDED), COMPLETED);
    expect(told(await reading.settled()).toSorted()).toEqual([
      `a ${RUNNING} ${CREATED}`,
      `a ${SUCCEEDED} ${COMPLETED}`,
      `b ${RUNNING} ${CREATED}`,
    ]);
    room.directory.remove('shipping');
    await settle();
    expect(shipping.services.watchers).toBe(0);
    await reading.leave();
    expect(reading.outcome).toEqual({});
    expect(billing.services.watchers).toBe(0);
    expect(room.runFeeds.size).toBe(0);
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('opens one stream of a subsystem for a hundred watchers', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing' });
    const readings = Array.from({ length: 100 }, () => watch(room));
    await settle();
    emit(billing, runOf('a', RUNNING));
    await settle();
    expect(billing.connection.count('WatchRuns')).toBe(1);
    for (const reading of readings) expect(reading.messages).toHaveLength(1);
    await Promise.all(readings.slice(1).map((reading) => reading.leave()));
    expect(billing.services.watchers).toBe(1);
    await readings[0]?.leave();
    expect(billing.services.watchers).toBe(0);
  });

  it('begins with the snapshot of each subsystem if asked to, for those too who come later', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing', runs: 3 });
    room.join({ id: 'shipping', runs: 2 });
    const first = watch(room, { includeInitialSnapshot: true });
    expect(await first.settled()).toHaveLength(5);
    emit(billing, runOf('billing-run-00001', PAUSED));
    await settle();
    const second = watch(room, { includeInitialSnapshot: true });
    await second.settled();
    expect(second.messages).toHaveLength(5);
    expect(second.messages.find(({ run }) => run?.id === 'billing-run-00001')?.run?.status).toBe(PAUSED);
    expect(billing.connection.count('WatchRuns')).toBe(1);
    const changesOnly = watch(room);
    expect(await changesOnly.settled()).toHaveLength(0);
    emit(billing, runOf('billing-run-00001', RUNNING));
    await settle();
    for (const reading of [first, second, changesOnly]) {
      expect(told(reading.messages).at(-1)).toBe(`billing-run-00001 ${RUNNING} ${UPDATED}`);
    }
  });

  it('keeps to workflows, bare and qualified, statuses, subsystems and business domains', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing' });
    const shipping = room.join({ id: 'shipping' });
    const byWorkflow = watch(room, { workflowIds: ['shipping~flow'] });
    const byStatus = watch(room, { statuses: [SUCCEEDED] });
    const bySubsystem = watch(room, { subsystemIds: ['billing'] });
    const byDomain = watch(room, { subsystemIds: ['east'] });
    await settle();
    emit(billing, runOf('a', RUNNING, { subsystemId: 'east' }));
    emit(shipping, runOf('b', SUCCEEDED));
    emit(shipping, runOf('c', RUNNING, { workflowId: 'other', subsystemId: 'billing' }));
    await settle(10);
    const ids = (reading: Reading<RunEvent>): unknown[] => reading.messages.map(({ run }) => run?.id);
    expect(ids(byWorkflow)).toEqual(['b']);
    expect(ids(byStatus)).toEqual(['b']);
    expect(ids(bySubsystem)).toEqual(['a']);
    expect(ids(byDomain)).toEqual(['a']);
  });

  it('shows another tenant nothing', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing' }, { tenantId: 'team-a' });
    const [theirs, others] = [watch(room, {}, { tenantId: 'team-a' }), watch(room, {}, { tenantId: 'team-b' })];
    await settle();
    emit(billing, runOf('a', RUNNING));
    expect(await theirs.settled()).toHaveLength(1);
    expect(others.messages).toHaveLength(0);
    expect(others.feed.failures).toEqual([]);
  });

  it('tells runs of the same id apart, and remembers where each was seen', async () => {
    const room = new LiveRoom();
    const [billing, shipping] = [room.join({ id: 'billing' }), room.join({ id: 'shipping' })];
    const reading = watch(room);
    await settle();
    emit(billing, runOf('a', RUNNING));
    await settle();
    emit(shipping, runOf('a', PAUSED));
    await settle();
    emit(billing, runOf('a', SUCCEEDED));
    expect(told(await reading.settled())).toEqual([
      `a ${RUNNING} ${UPDATED}`,
      `shipping~a ${PAUSED} ${UPDATED}`,
      `billing~a ${SUCCEEDED} ${UPDATED}`,
    ]);
  });

  it('says the same undecoded', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing', workflowIds: ['flow'] });
    room.join({ id: 'shipping', workflowIds: ['flow'] });
    const request = create(WatchRunsRequestSchema, {});
    const decoded = new Reading(room.live.watchRuns(room.caller(), request));
    const undecoded = new Reading(room.live.watchRunsUndecoded(room.caller(), request));
    await settle();
    emit(billing, runOf('a', RUNNING, { metadata: { region: 'north' } }));
    await settle(10);
    const [message] = undecoded.messages;
    expect(message && fromBinary(RunEventSchema, toBinary(UndecodedRunEventSchema, message))).toEqual(
      decoded.messages[0],
    );
    expect(decoded.messages[0]?.run?.workflowId).toBe('billing~flow');
  });

  it.each([true, false])('misses nothing and repeats nothing when a stream breaks (snapshot: %s)', async (asked) => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing', runs: 4, epochMs: Date.UTC(2025, 11, 1) });
    const reading = watch(room, { includeInitialSnapshot: asked });
    await settle();
    emit(billing, runOf('billing-run-00003', PAUSED, { metadata: { b: '2', a: '1' } }));
    await settle();
    const before = reading.messages.length;
    billing.services.endStreams(new Error('killed'));
    await settle();
    expect(reading.feed.failures).toEqual([{ subsystemId: 'billing', reason: 'failed' }]);
    // While nobody listens.
    const run = billing.data.run('billing-run-00003');
    Object.assign(run ?? {}, { status: SUCCEEDED });
    billing.data.addRun({ status: RUNNING, startedAt: undefined });
    await room.clock.advance(1_000);
    expect(told(reading.messages.slice(before))).toEqual([
      `billing-run-00003 ${SUCCEEDED} ${COMPLETED}`,
      `billing-run-00004 ${RUNNING} ${CREATED}`,
    ]);
    expect(reading.feed.failures).toEqual([]);
    emit(billing, runOf('billing-run-00004', SUCCEEDED), COMPLETED);
    await settle();
    expect(told(reading.messages).at(-1)).toBe(`billing-run-00004 ${SUCCEEDED} ${COMPLETED}`);
    await reading.leave();
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('waits longer and longer for one that fails, and does not when it has connected anew', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing' });
    billing.connection.fail('WatchRuns', Code.Unavailable);
    const reading = watch(room);
    await settle();
    expect(reading.feed.failures).toEqual([{ subsystemId: 'billing', reason: 'unreachable' }]);
    await room.clock.advance(15_000);
    expect(billing.connection.count('WatchRuns')).toBe(5);
    room.directory.setState('billing', 'stale');
    await settle();
    expect(reading.feed.failures).toEqual([{ subsystemId: 'billing', reason: 'stale' }]);
    await room.clock.advance(100_000);
    expect(billing.connection.count('WatchRuns')).toBe(5);
    billing.connection.heal('WatchRuns');
    room.directory.setState('billing', 'connected');
    await settle();
    emit(billing, runOf('a', RUNNING));
    expect(await reading.settled()).toHaveLength(1);
  });

  it('lets go of a half-open stream when the registry finds the subsystem dead', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing' });
    const reading = watch(room);
    await settle();
    room.directory.setState('billing', 'stale');
    await settle();
    expect(billing.services.watchers).toBe(0);
    room.directory.setState('billing', 'connected');
    await settle();
    emit(billing, runOf('a', RUNNING));
    expect(await reading.settled()).toHaveLength(1);
  });

  it('ends a watcher that is too slow, after leaving out states that later ones supersede, and no other', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing' });
    const slow = room.live.watchRuns(room.caller(), create(WatchRunsRequestSchema, {}))[Symbol.asyncIterator]();
    const quick = watch(room);
    await settle();
    // One run that changes very often: only its last state is of use.
    for (let change = 0; change < 5_000; change += 1) emit(billing, runOf('busy', change % 2 ? RUNNING : PAUSED));
    await settle();
    expect(await quick.settled()).toHaveLength(5_000);
    emit(billing, runOf('busy', SUCCEEDED), COMPLETED);
    await settle();
    const kept: RunStatus[] = [];
    for (let status = 0; status !== SUCCEEDED;) {
      status = (await slow.next()).value?.run?.status;
      kept.push(status);
    }
    expect(kept.length).toBeLessThan(1_001);
    // Many runs: there is no shorter way to say it.
    for (let run = 0; run < 1_500; run += 1) emit(billing, runOf(`run-${run}`, RUNNING));
    await settle();
    await expect(slow.next()).rejects.toMatchObject({ code: Code.ResourceExhausted });
    expect(await slow.next()).toMatchObject({ done: true });
    expect(await quick.settled()).toHaveLength(6_501);
    expect(quick.outcome).toBeUndefined();
  });

  it('asks again and again where a subsystem does not stream, once for all, and says so', async () => {
    const room = new LiveRoom();
    const old = room.join({ id: 'old', old: true, runs: 3 });
    const [first, second] = [watch(room), watch(room, { includeInitialSnapshot: true })];
    await settle(20);
    expect(first.messages).toHaveLength(0);
    expect(await second.settled()).toHaveLength(3);
    expect(first.feed.polled).toEqual(['old']);
    const looks = old.connection.count('ListRuns');
    const run = old.data.addRun({ status: RUNNING });
    await room.clock.advance(POLL_MS);
    await settle(10);
    expect(old.connection.count('ListRuns') - looks).toBe(looks);
    run.status = SUCCEEDED;
    await room.clock.advance(POLL_MS);
    await settle(10);
    const told4 = [`${run.id} ${RUNNING} ${CREATED}`, `${run.id} ${SUCCEEDED} ${COMPLETED}`];
    expect(told(first.messages)).toEqual(told4);
    expect(told(second.messages).slice(3)).toEqual(told4);
    expect(first.feed.failures).toEqual([]);
    await Promise.all([first.leave(), second.leave()]);
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('begins anew with a subsystem that tells what cannot be read, and leaves the others alone', async () => {
    const room = new LiveRoom();
    const [hostile, billing] = [room.join({ id: 'hostile' }), room.join({ id: 'billing' })];
    const reading = watch(room);
    await settle();
    emit(hostile, runOf('', RUNNING));
    emit(billing, runOf('a', RUNNING));
    await settle(10);
    expect(reading.feed.failures).toEqual([{ subsystemId: 'hostile', reason: 'failed' }]);
    await room.clock.advance(1_000);
    emit(hostile, runOf('b', RUNNING));
    expect(told(await reading.settled())).toEqual([`a ${RUNNING} ${UPDATED}`, `b ${RUNNING} ${UPDATED}`]);
    expect(reading.feed.failures).toEqual([]);
  });

  it('tells what happened while a subsystem that is polled did not answer', async () => {
    const room = new LiveRoom();
    const old = room.join({ id: 'old', old: true, runs: 3 });
    const reading = watch(room);
    await settle(20);
    old.connection.fail('ListRuns', Code.DeadlineExceeded);
    await room.clock.advance(POLL_MS);
    expect(reading.feed.failures).toEqual([{ subsystemId: 'old', reason: 'timeout' }]);
    const run = old.data.addRun({ status: RUNNING });
    old.connection.heal('ListRuns');
    await room.clock.advance(30_000);
    await settle(10);
    expect(told(reading.messages)).toEqual([`${run.id} ${RUNNING} ${CREATED}`]);
    expect(reading.feed.failures).toEqual([]);
  });

  it('finds the end of a polled run that has left both lists', async () => {
    const room = new LiveRoom();
    const old = room.join({ id: 'old', old: true, runs: 0 });
    const first = old.data.addRun({ status: RUNNING });
    const reading = watch(room);
    await settle(20);
    first.status = SUCCEEDED;
    for (let run = 0; run < 600; run += 1) old.data.addRun({ status: SUCCEEDED });
    await room.clock.advance(POLL_MS);
    await settle(20);
    expect(told(reading.messages)).toContain(`${first.id} ${SUCCEEDED} ${COMPLETED}`);
    expect(old.connection.count('GetRun')).toBe(1);
  });

  it('refuses bad input by its fields', () => {
    const room = new LiveRoom();
    const request = create(WatchRunsRequestSchema, { workflowIds: ['a', ''], subsystemIds: Array(101).fill('a') });
    expect(() => room.live.watchRuns(room.caller(), request)).toThrow(/workflow_ids\[1\].*subsystem_ids must hold/);
  });
});
