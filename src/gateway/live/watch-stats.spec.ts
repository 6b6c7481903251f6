import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { LiveRoom, Reading } from '../../../test/support/live-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import { circleRefusal } from '../connections/gateway-circle.js';
import {
  StreamService,
  type StatsSnapshot,
  StatsSnapshotSchema,
  WatchRunsRequestSchema,
  WatchStatsRequestSchema,
} from '../gen/flowwatch/v1/stream_service_pb.js';
import { RunStatus } from '../gen/flowwatch/v1/types_pb.js';
import type { Feed } from '../routing/answer.js';
import { mergeStats } from './merge-stats.js';

function watch(room: LiveRoom, intervalSeconds = 0): Reading<StatsSnapshot> & { readonly feed: Feed<StatsSnapshot> } {
  const abort = new AbortController();
  const caller = room.caller({ signal: abort.signal });
  const feed = room.live.watchStats(caller, create(WatchStatsRequestSchema, { intervalSeconds }));
  return new Reading(feed, abort) as never;
}

describe('WatchStats', () => {
  it('adds what the subsystems say, every interval, and no more of one that is gone', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing', runs: 10 });
    const shipping = room.join({ id: 'shipping', runs: 5 });
    const [reading, other] = [watch(room), watch(room)];
    await settle(10);
    await room.clock.advance(50);
    await settle(10);
    expect(reading.messages).toMatchObject([{ running: 3, ratePerMinute: 12, errorRate: 0.5 }]);
    billing.services.emitStats({ running: 7, succeededLastMinute: 3, failedLastMinute: 1, errorRate: 0.25 });
    await room.clock.advance(5_000);
    expect(reading.messages[1]).toMatchObject({ running: 8, succeededLastMinute: 3, errorRate: 0.25 });
    expect(billing.connection.count('WatchStats')).toBe(1);
    room.directory.setState('shipping', 'stale');
    await room.clock.advance(5_000);
    expect(reading.messages[2]).toMatchObject({ running: 7 });
    expect(reading.feed.failures).toEqual([{ subsystemId: 'shipping', reason: 'stale' }]);
    expect(shipping.services.watchers).toBe(0);
    // What says nothing for long counts no more, even if its connection stands.
    await room.clock.advance(15_000);
    expect(reading.messages.at(-1)).toMatchObject({ running: 0 });
    await Promise.all([reading.leave(), other.leave()]);
    expect(billing.services.watchers).toBe(0);
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('neither waits for a gateway that it came through nor names it', async () => {
    const room = new LiveRoom();
    room.join({ id: 'billing', runs: 10 });
    const refuse = (): never => {
      throw circleRefusal('it has been here before');
    };
    room.add('inner', ({ service }) => service(StreamService, { watchStats: refuse, watchRuns: refuse }));
    const reading = watch(room);
    const runs = room.live.watchRuns(room.caller(), create(WatchRunsRequestSchema));
    await settle(10);
    await room.clock.advance(50);
    expect(reading.messages).toMatchObject([{ running: 2 }]);
    expect([reading.feed.failures, runs.failures]).toEqual([[], []]);
    await reading.leave();
  });

  it('counts runs where a subsystem does not stream, and says so', async () => {
    const room = new LiveRoom();
    const old = room.join({ id: 'old', runs: 10, old: true, epochMs: Date.UTC(2025, 1, 1) });
    const finishedAt = timestampFromMs(room.clock.now() - 1_000);
    old.data.addRun({ status: RunStatus.SUCCEEDED, finishedAt });
    for (let run = 0; run < 3; run += 1) old.data.addRun({ status: RunStatus.FAILED, finishedAt });
    const reading = watch(room, 1);
    await settle(20);
    await room.clock.advance(50);
    expect(reading.messages).toMatchObject([
      { running: 2, paused: 0, succeededLastMinute: 1, failedLastMinute: 3, ratePerMinute: 4, errorRate: 0.75 },
    ]);
    expect(reading.feed.polled).toEqual(['old']);
    await reading.leave();
  });

  it('comes back after a break, and says who is missing meanwhile', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing', runs: 10 });
    billing.connection.fail('WatchStats', Code.Unavailable);
    const reading = watch(room, 1);
    await settle(10);
    await room.clock.advance(50);
    expect(reading.messages).toMatchObject([{ running: 0 }]);
    expect(reading.feed.failures).toEqual([{ subsystemId: 'billing', reason: 'unreachable' }]);
    billing.connection.heal('WatchStats');
    await room.clock.advance(2_000);
    expect(reading.messages.at(-1)).toMatchObject({ running: 2 });
    billing.services.endStreams(new ConnectError('killed', Code.Unavailable));
    await settle(10);
    await room.clock.advance(3_000);
    expect(reading.messages.at(-1)).toMatchObject({ running: 2 });
    await reading.leave();
  });

  it('is not spoiled by figures that are none', () => {
    const parts = [
      { running: -5, ratePerMinute: NaN, errorRate: Infinity, succeededLastMinute: 1 },
      { running: 2, ratePerMinute: 3, errorRate: 0.5, failedLastMinute: 1 },
    ].map((part) => create(StatsSnapshotSchema, part));
    expect(mergeStats(parts, 0)).toMatchObject({ running: 2, ratePerMinute: 3, errorRate: 0.25 });
    expect(mergeStats([], 0)).toMatchObject({ running: 0, errorRate: 0 });
  });

  it('refuses an interval that is none', () => {
    expect(() => watch(new LiveRoom(), -1)).toThrow(/interval_seconds must be/);
    expect(() => watch(new LiveRoom(), 3_601)).toThrow(/interval_seconds must be/);
  });
});
