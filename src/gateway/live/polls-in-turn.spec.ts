import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { LiveRoom, type LiveSubsystem, POLL_MS, Reading } from '../../../test/support/live-room.js';
import { CALL_TIMEOUT_MS } from '../../../test/support/answers-room.js';
import { SubsystemData } from '../../../test/support/flowwatch-subsystem-data.js';
import { settle } from '../../../test/support/fake-clock.js';
import {
  WatchRunRequestSchema,
  WatchRunsRequestSchema,
  WatchStatsRequestSchema,
} from '../gen/flowwatch/v1/stream_service_pb.js';
import { RunStatus } from '../gen/flowwatch/v1/types_pb.js';
import type { Feed } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';

interface Watched {
  readonly room: LiveRoom;
  readonly old: LiveSubsystem;
  readonly reading: Reading<unknown> & { readonly feed: Feed<unknown> };
}

const FEEDS: ReadonlyArray<readonly [string, (room: LiveRoom, caller: Caller) => Feed<unknown>, string]> = [
  ['its runs', ({ live }, caller) => live.watchRuns(caller, create(WatchRunsRequestSchema)), 'ListRuns'],
  [
    'one of its runs',
    ({ live }, caller) => live.watchRun(caller, create(WatchRunRequestSchema, { runId: 'old~old-run-00000' })),
    'GetRunSteps',
  ],
  [
    'its figures',
    ({ live }, caller) => live.watchStats(caller, create(WatchStatsRequestSchema, { intervalSeconds: 1 })),
    'ListRuns',
  ],
];

/** Streams are refused as before. */
function hangReads({ connection }: LiveSubsystem): () => void {
  const heals = ['ListRuns', 'GetRun', 'GetRunSteps', 'GetRunLogs'].map((read) => connection.hang(read));
  return () => {
    for (const heal of heals) heal();
  };
}

const readsOf = ({ connection }: LiveSubsystem): number =>
  connection.calls.filter(({ kind }) => kind === 'read').length;

describe.each(FEEDS)('a subsystem that is polled for %s and lets calls time out', (_, open, method) => {
  async function watched(): Promise<Watched> {
    const room = new LiveRoom();
    const data = new SubsystemData({ id: 'old', runs: 1 });
    const capabilities = { ...data.capabilities, streaming: false };
    const old = room.join({ id: 'old', old: true }, { data, capabilities });
    for (const run of old.data.runs) run.status = RunStatus.RUNNING;
    const left = new AbortController();
    const reading = new Reading(open(room, room.caller({ signal: left.signal })), left) as Watched['reading'];
    await settle(20);
    return { room, old, reading };
  }

  /** From now on nothing is answered, until it is given up. */
  async function trip(room: LiveRoom, old: LiveSubsystem): Promise<() => void> {
    const heal = hangReads(old);
    for (let second = 0; second < 120 && !old.connection.timeouts.isOpen; second += 1) await room.clock.advance(1_000);
    expect(old.connection.timeouts.isOpen).toBe(true);
    return heal;
  }

  it('is asked by one poll at a time, ever less, however many watch', async () => {
    const { room, old, reading } = await watched();
    const others = Array.from({ length: 9 }, () => {
      const left = new AbortController();
      return new Reading(open(room, room.caller({ signal: left.signal })), left);
    });
    await settle(20);
    await trip(room, old);
    const before = readsOf(old);
    for (let second = 0; second < 600; second += 1) await room.clock.advance(1_000);
    // Each probe makes four calls at most and takes 10 s, and 30 s are between two but for the first.
    expect(readsOf(old) - before).toBeGreaterThan(10);
    expect(readsOf(old) - before).toBeLessThanOrEqual(4 * 20);
    for (const each of [reading, ...others]) await each.leave();
  });

  it('is not asked at all while others find out whether it answers', async () => {
    const { room, old, reading } = await watched();
    await trip(room, old);
    while (!old.connection.timeouts.begin()?.isProbe) await room.clock.advance(100);
    // What was on its way has ended by then.
    await room.clock.advance(CALL_TIMEOUT_MS);
    const before = readsOf(old);
    await room.clock.advance(120_000);
    expect(readsOf(old)).toBe(before);
    await reading.leave();
  });

  it('is found again when it answers', async () => {
    const { room, old, reading } = await watched();
    const heal = await trip(room, old);
    heal();
    const before = old.connection.count(method);
    for (let second = 0; second < 60; second += 1) await room.clock.advance(1_000);
    expect(old.connection.count(method) - before).toBeGreaterThan(60_000 / (4 * POLL_MS));
    expect(old.connection.timeouts.isOpen).toBe(false);
    await settle(10);
    expect(reading.feed.failures).toEqual([]);
    await reading.leave();
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('does not stay given up when whoever watched has gone in the middle of a probe', async () => {
    const { room, old, reading } = await watched();
    const heal = await trip(room, old);
    const before = old.connection.count();
    while (old.connection.count() === before) await room.clock.advance(1_000);
    await reading.leave();
    expect(reading.outcome).toBeDefined();
    heal();
    await room.clock.advance(30_000);
    old.connection.timeouts.begin()?.ended();
    expect(old.connection.timeouts.isOpen).toBe(false);
    expect(room.clock.pendingTimers).toBe(0);
  });
});
