import { describe, expect, it } from '@jest/globals';
import { type MessageInitShape, create, fromBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { type RoomSubsystem, SubsystemsRoom, callerOf } from '../../../test/support/subsystems-room.js';
import { FakeSubsystemConnection } from '../../../test/support/fake-subsystem-connection.js';
import { circleRefusal, isCircleRefusal } from '../connections/gateway-circle.js';
import {
  GetRunLogsRequestSchema,
  type GetRunRequest,
  GetRunRequestSchema,
  GetRunStepsRequestSchema,
  GetRunTimelineRequestSchema,
  RunService,
} from '../gen/flowwatch/v1/run_service_pb.js';
import { LogLevel, RunSchema, StepExecutionSchema, StepStatus } from '../gen/flowwatch/v1/types_pb.js';
import { RunReads } from './run-reads.js';
import { timelineOfSteps } from './run-timeline.js';

const ANN = callerOf({ gatewayPath: 'outer', timeoutMs: 3_000 });

class Room extends SubsystemsRoom {
  readonly reads = new RunReads(this.owners, this.workflowOwners);
}

function ask(runId: string): GetRunRequest {
  return create(GetRunRequestSchema, { runId });
}

async function codeOf(work: Promise<unknown>): Promise<Code | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error).code,
  );
}

describe('a run that is read', () => {
  it('comes from its owner as it is, on behalf of the caller', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    const shipping = room.add('shipping');
    const run = billing.services.data.run('r1');

    expect((await room.reads.getRun(ANN, ask('r1'))).value.run).toEqual(run);
    const undecoded = await room.reads.getRunUndecoded(ANN, ask('r1'));
    expect(fromBinary(RunSchema, undecoded.value.run)).toEqual(run);
    expect(undecoded).toMatchObject({ failures: [], notes: [] });

    expect(shipping.connection.count()).toBe(1);
    expect(billing.connection.calls.at(-1)?.options).toMatchObject({ gatewayPath: 'outer', timeoutMs: 3_000 });
  });

  it('has its ids in the form that tells it from others', async () => {
    const room = new Room();
    room.add('billing', { runs: ['r1', 'r2'], workflowIds: ['nightly'] });
    room.add('shipping', { runs: ['r1'], workflowIds: ['nightly', 'pack'] });

    for (const [asked, ids] of [
      ['billing~r1', ['billing~r1', 'billing~nightly']],
      ['r2', ['r2', 'billing~nightly']],
    ] as const) {
      const { value } = await room.reads.getRun(ANN, ask(asked));
      expect([value.run?.id, value.run?.workflowId]).toEqual(ids);
      const undecoded = fromBinary(RunSchema, (await room.reads.getRunUndecoded(ANN, ask(asked))).value.run);
      expect(undecoded).toEqual(value.run);
    }
    expect(await codeOf(room.reads.getRun(ANN, ask('r1')))).toBe(Code.FailedPrecondition);
  });

  it('is found at another subsystem when the one that was remembered does not have it', async () => {
    const room = new Room();
    const billing = room.add('billing');
    room.add('shipping', { runs: ['r1'] });
    room.owners.seen(billing.registered, 'r1');
    expect((await room.reads.getRunUndecoded(ANN, ask('r1'))).value.run.length).toBeGreaterThan(0);
    expect(billing.connection.count()).toBe(2);
    await room.reads.getRunUndecoded(ANN, ask('r1'));
    expect(billing.connection.count()).toBe(2);
  });

  it('is looked for elsewhere when the one that was remembered is a gateway that asks for it', async () => {
    const room = new Room();
    const refuse = (): never => {
      throw circleRefusal('it has been here before');
    };
    const connection = new FakeSubsystemConnection(({ service }) => service(RunService, { getRun: refuse }));
    const inner = room.directory.add({ id: 'inner', connection });
    for (const runId of ['r1', 'r2']) room.owners.seen(inner, runId);
    expect(await codeOf(room.reads.getRun(ANN, ask('r1')))).toBe(Code.NotFound);
    room.add('shipping', { runs: ['r2'] });
    expect((await room.reads.getRun(ANN, ask('r2'))).value.run?.id).toBe('r2');
    // It is told that it asks itself.
    const asked = await room.reads.getRun(ANN, ask('inner~r1')).catch((error: unknown) => error);
    expect(isCircleRefusal(asked)).toBe(true);
  });

  it('is not found if nobody has it, or not the one that was said to', async () => {
    const room = new Room();
    room.add('billing', { runs: ['r1'] });
    room.add('shipping');
    expect(await codeOf(room.reads.getRun(ANN, ask('r9')))).toBe(Code.NotFound);
    expect(await codeOf(room.reads.getRun(ANN, ask('shipping~r1')))).toBe(Code.NotFound);
    expect(await codeOf(room.reads.getRun(ANN, ask('')))).toBe(Code.InvalidArgument);
  });

  it('fails as its owner does, and is asked of nobody else', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    const shipping = room.add('shipping', { runs: ['r1'] });
    room.owners.seen(billing.registered, 'r1');
    billing.connection.fail('GetRun', Code.Unavailable);
    expect(await codeOf(room.reads.getRun(ANN, ask('r1')))).toBe(Code.Unavailable);
    expect(shipping.connection.count()).toBe(0);
  });
});

describe('what belongs to a run', () => {
  it('names it as the request did', async () => {
    const room = new Room();
    room.add('billing', { runs: ['r1'] });
    for (const runId of ['r1', 'billing~r1']) {
      const { steps } = (await room.reads.getRunSteps(ANN, create(GetRunStepsRequestSchema, { runId }))).value;
      const { logs } = (await room.reads.getRunLogs(ANN, create(GetRunLogsRequestSchema, { runId }))).value;
      const timeline = (await room.reads.getRunTimeline(ANN, create(GetRunTimelineRequestSchema, { runId }))).value;
      expect(new Set([...steps, ...logs, timeline].map((part) => part.runId))).toEqual(new Set([runId]));
      expect([steps.length, logs.length, timeline.entries.length]).toEqual([3, 6, 3]);
    }
  });

  it('is logged page by page, with the cursor of the owner', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    const read = async (cursor: string, limit: number): Promise<{ lines: number[]; nextCursor: string }> => {
      const request = create(GetRunLogsRequestSchema, {
        runId: 'r1',
        levels: [LogLevel.WARN],
        pagination: { cursor, limit },
      });
      const { logs, pagination } = (await room.reads.getRunLogs(ANN, request)).value;
      return { lines: logs.map(({ lineNumber }) => Number(lineNumber)), nextCursor: pagination?.nextCursor ?? '' };
    };
    const first = await read('', 2);
    const rest = await read(first.nextCursor, 9_999);
    expect([first.lines, rest.lines, rest.nextCursor]).toEqual([[2, 4], [6], '']);
    expect(billing.connection.calls.at(-1)?.input).toMatchObject({ pagination: { limit: 500 } });
    expect(await codeOf(read('', -1))).toBe(Code.InvalidArgument);
  });

  it('has a timeline also where its owner offers none', async () => {
    const room = new Room();
    const billing: RoomSubsystem = room.add('billing', { runs: ['r1'] });
    billing.connection.fail('GetRunTimeline', Code.Unimplemented);
    const request = create(GetRunTimelineRequestSchema, { runId: 'billing~r1' });
    const { runId, entries, totalDuration } = (await room.reads.getRunTimeline(ANN, request)).value;
    expect([runId, totalDuration]).toEqual(['billing~r1', billing.services.data.run('r1')?.duration]);
    expect(entries.map(({ stepName, offset }) => [stepName, offset?.nanos])).toEqual([
      ['validate', 0],
      ['charge', 10_000_000],
      ['notify', 20_000_000],
    ]);
  });
});

describe('a timeline that is made of steps', () => {
  it('starts with the run, measures what is not told, and has what has not started last', () => {
    const run = create(RunSchema, { id: 'r1', startedAt: { seconds: 100n, nanos: 0 } });
    const steps: readonly MessageInitShape<typeof StepExecutionSchema>[] = [
      { stepName: 'waiting', status: StepStatus.PENDING },
      { stepName: 'second', startedAt: { seconds: 102n, nanos: 5 }, finishedAt: { seconds: 104n, nanos: 4 } },
      { stepName: 'first', startedAt: { seconds: 100n, nanos: 7 } },
      { stepName: 'clocks differ', startedAt: { seconds: 103n }, finishedAt: { seconds: 101n } },
    ];
    const timeline = timelineOfSteps(
      run,
      steps.map((step) => create(StepExecutionSchema, step)),
    );
    expect(timeline.entries.map(({ stepName, offset, duration }) => [stepName, offset, duration])).toMatchObject([
      ['first', { seconds: 0n, nanos: 7 }, undefined],
      ['second', { seconds: 2n, nanos: 5 }, { seconds: 1n, nanos: 999_999_999 }],
      ['clocks differ', { seconds: 3n, nanos: 0 }, { seconds: 0n, nanos: 0 }],
      ['waiting', undefined, undefined],
    ]);
    expect(timeline.totalDuration).toMatchObject({ seconds: 4n, nanos: 4 });
    expect(timelineOfSteps(create(RunSchema, { id: 'r1' }), []).totalDuration).toBeUndefined();
  });
});
