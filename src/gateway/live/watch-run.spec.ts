import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { LiveRoom, POLL_MS, Reading, type LiveSubsystem } from '../../../test/support/live-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import {
  type RunDetailEvent,
  RunDetailEventType,
  WatchRunRequestSchema,
} from '../gen/flowwatch/v1/stream_service_pb.js';
import { type LogEntry, LogEntrySchema, RunStatus } from '../gen/flowwatch/v1/types_pb.js';
import type { Feed } from '../routing/answer.js';

const { RUN_UPDATED, STEP_UPDATED, LOG_APPENDED } = RunDetailEventType;
const RUNNING_RUN = 'billing-run-00003';

function watch(room: LiveRoom, runId: string): Reading<RunDetailEvent> & { readonly feed: Feed<RunDetailEvent> } {
  const abort = new AbortController();
  const feed = room.live.watchRun(room.caller({ signal: abort.signal }), create(WatchRunRequestSchema, { runId }));
  return new Reading(feed, abort) as never;
}

function line(number: number): LogEntry {
  return create(LogEntrySchema, {
    runId: RUNNING_RUN,
    stepName: 'validate',
    lineNumber: BigInt(number),
    timestamp: timestampFromMs(number),
    message: `line ${number}`,
  });
}

/** `run 2`, `step validate`, `log line 7` of each. */
function told(events: readonly RunDetailEvent[]): string[] {
  return events.map(({ eventType, run, step, logEntry }) => {
    if (eventType === RUN_UPDATED) return `run ${run?.status}`;
    return eventType === STEP_UPDATED ? `step ${step?.stepName}` : `log ${logEntry?.message}`;
  });
}

function endRun({ data }: LiveSubsystem): void {
  const run = data.run(RUNNING_RUN);
  if (!run) throw new Error('no such run');
  run.status = RunStatus.SUCCEEDED;
}

describe('WatchRun', () => {
  it('passes on what the owner tells, under the id of the request, and its end once the run has ended', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing', runs: 5 });
    const shipping = room.join({ id: 'shipping', runs: 5 });
    const reading = watch(room, `billing~${RUNNING_RUN}`);
    await settle(20);
    billing.services.emitDetail(RUNNING_RUN, { eventType: LOG_APPENDED, logEntry: line(99) });
    const [step] = billing.data.steps(billing.data.runs[3] as never);
    billing.services.emitDetail(RUNNING_RUN, { eventType: STEP_UPDATED, ...(step ? { step } : {}) });
    await settle(10);
    expect(told(reading.messages)).toEqual(['log line 99', 'step validate']);
    expect(reading.messages.map(({ step, logEntry }) => step?.runId ?? logEntry?.runId)).toEqual([
      `billing~${RUNNING_RUN}`,
      `billing~${RUNNING_RUN}`,
    ]);
    endRun(billing);
    billing.services.endStreams();
    await settle(20);
    // What it had not told before it ended.
    expect(told(reading.messages).at(-1)).toBe(`run ${RunStatus.SUCCEEDED}`);
    expect(reading.outcome).toEqual({});
    expect(shipping.connection.count('WatchRun')).toBe(0);
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('tells what was missed while the stream was broken, and nothing twice', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing', runs: 5 });
    const logs = [line(1), line(2)];
    billing.data.logs = () => logs;
    const reading = watch(room, RUNNING_RUN);
    await settle(20);
    logs.push(line(3));
    billing.services.emitDetail(RUNNING_RUN, { eventType: LOG_APPENDED, logEntry: line(3) });
    await settle(10);
    billing.services.endStreams(new ConnectError('killed', Code.Unavailable));
    await settle(10);
    logs.push(line(4));
    await room.clock.advance(1_000);
    await room.clock.advance(POLL_MS);
    await settle(10);
    expect(told(reading.messages)).toEqual([
      'log line 3',
      'log line 4',
      'step validate',
      'step charge',
      'step notify',
      `run ${RunStatus.RUNNING}`,
    ]);
    logs.push(line(5));
    billing.services.emitDetail(RUNNING_RUN, { eventType: LOG_APPENDED, logEntry: line(5) });
    await settle(10);
    expect(told(reading.messages).slice(6)).toEqual(['log line 5']);
    await reading.leave();
    expect(reading.outcome).toEqual({});
    expect(billing.services.watchers).toBe(0);
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('asks again and again where the owner does not stream, until the run has ended', async () => {
    const room = new LiveRoom();
    const old = room.join({ id: 'billing', runs: 5, old: true });
    const logs = [line(1)];
    old.data.logs = () => logs;
    const reading = watch(room, RUNNING_RUN);
    await settle(20);
    expect(told(reading.messages)).toEqual(['step validate', 'step charge', 'step notify', `run ${RunStatus.RUNNING}`]);
    expect(reading.feed.polled).toEqual(['billing']);
    logs.push(line(2));
    await room.clock.advance(POLL_MS);
    await settle(10);
    endRun(old);
    await room.clock.advance(POLL_MS);
    await settle(10);
    expect(told(reading.messages).slice(4)).toEqual(['log line 2', `run ${RunStatus.SUCCEEDED}`]);
    expect(reading.outcome).toEqual({});
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('forgets a wrong owner and finds the right one; nobody at all is not found', async () => {
    const room = new LiveRoom();
    const [billing] = [room.join({ id: 'billing', runs: 5 }), room.join({ id: 'shipping', runs: 5 })];
    const wrong = room.directory.find(room.caller().principal, 'shipping');
    if (wrong) room.runOwners.seen(wrong, RUNNING_RUN);
    const reading = watch(room, RUNNING_RUN);
    await settle(30);
    billing.services.emitDetail(RUNNING_RUN, { eventType: LOG_APPENDED, logEntry: line(1) });
    await settle(10);
    expect(told(reading.messages)).toEqual(['log line 1']);
    const missing = watch(room, 'nowhere');
    await settle(20);
    expect(missing.outcome?.error).toMatchObject({ code: Code.NotFound });
  });

  it('ends when the subsystem has left, saying so', async () => {
    const room = new LiveRoom();
    room.join({ id: 'billing', runs: 5 });
    const reading = watch(room, RUNNING_RUN);
    await settle(20);
    room.directory.remove('billing');
    await settle(10);
    expect(reading.outcome?.error).toMatchObject({ code: Code.Unavailable, message: expect.stringMatching(/left/) });
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('holds the owner back when its watcher does not read', async () => {
    const room = new LiveRoom();
    const billing = room.join({ id: 'billing', runs: 5 });
    const feed = room.live.watchRun(room.caller(), create(WatchRunRequestSchema, { runId: RUNNING_RUN }));
    const events = feed[Symbol.asyncIterator]();
    const first = events.next();
    await settle(20);
    for (let number = 1; number <= 1_000; number += 1) {
      billing.services.emitDetail(RUNNING_RUN, { eventType: LOG_APPENDED, logEntry: line(number) });
    }
    await settle(10);
    const read = [(await first).value?.logEntry?.lineNumber];
    while (read.length < 1_000) read.push((await events.next()).value?.logEntry?.lineNumber);
    expect(read).toEqual(Array.from({ length: 1_000 }, (_, index) => BigInt(index + 1)));
    await events.return?.();
  });
});
