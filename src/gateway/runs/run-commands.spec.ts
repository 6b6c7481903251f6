import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import fc from 'fast-check';
import { type RoomSubsystem, SubsystemsRoom, callerOf } from '../../../test/support/subsystems-room.js';
import {
  CancelRunRequestSchema,
  PauseRunRequestSchema,
  ResumeRunRequestSchema,
  RetryFromStepRequestSchema,
  RetryRunRequestSchema,
  SkipStepRequestSchema,
} from '../gen/flowwatch/v1/run_service_pb.js';
import { CapabilitiesSchema } from '../gen/flowwatch/v1/types_pb.js';
import { formatQualifiedId } from '../routing/qualified-id.js';
import { RunCommands } from './run-commands.js';

const ANN = callerOf({ idempotencyKey: 'key-1' });

class Room extends SubsystemsRoom {
  readonly commands = new RunCommands(this.owners);

  cancel(runId: string, caller = ANN): Promise<unknown> {
    return this.commands.cancelRun(caller, create(CancelRunRequestSchema, { runId, reason: 'enough' }));
  }
}

async function errorOf(work: Promise<unknown>): Promise<{ code: Code; message: string } | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    return { code, message: rawMessage };
  }
}

function effectsOf(...subsystems: readonly RoomSubsystem[]): string[] {
  return subsystems.flatMap(({ registered, services }) =>
    services.effects.map(({ method, runId }) => `${registered.id}: ${method} ${runId}`),
  );
}

describe('a command', () => {
  it('reaches the owner alone, once, with what the caller gave', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    const shipping = room.add('shipping', { runs: ['r2'] });
    const { commands } = room;

    await room.cancel('r1');
    await commands.pauseRun(ANN, create(PauseRunRequestSchema, { runId: 'billing~r1' }));
    await commands.resumeRun(ANN, create(ResumeRunRequestSchema, { runId: 'r1' }));
    await commands.skipStep(ANN, create(SkipStepRequestSchema, { runId: 'r2', stepName: 'charge', reason: 'why not' }));

    expect(effectsOf(billing, shipping)).toEqual([
      'billing: CancelRun r1',
      'billing: PauseRun r1',
      'billing: ResumeRun r1',
      'shipping: SkipStep r2',
    ]);
    expect(billing.services.effects[0]?.idempotencyKey).toBe('key-1');
    const inputs = [billing, shipping].flatMap(({ connection }) =>
      connection.calls.filter(({ kind }) => kind === 'mutate').map(({ input }) => input),
    );
    expect(inputs).toMatchObject([
      { runId: 'r1', reason: 'enough' },
      { runId: 'r1' },
      { runId: 'r1' },
      { runId: 'r2', stepName: 'charge', reason: 'why not' },
    ]);
  });

  it('that makes a run names it so that it can be found', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    const retry = async (runId: string): Promise<string> =>
      (await room.commands.retryRun(callerOf(), create(RetryRunRequestSchema, { runId }))).value.newRunId;

    expect(await retry('r1')).toBe('billing-new-1');
    expect(await retry('billing~r1')).toBe('billing~billing-new-2');
    const before = billing.connection.count('GetRun');
    expect((await room.owners.find(ANN, 'billing-new-1')).subsystem).toBe(billing.registered);
    expect(billing.connection.count('GetRun')).toBe(before);
    const fromStep = create(RetryFromStepRequestSchema, { runId: 'r1', stepName: 'charge' });
    expect((await room.commands.retryFromStep(ANN, fromStep)).value.newRunId).toBe('billing-new-3');
  });

  it('reaches nobody while it is not clear whose run is meant', async () => {
    const room = new Room();
    const first = room.add('a', { runs: ['r1'] });
    const all = [first, ...['b', 'c'].map((id) => room.add(id, { runs: ['r1'] }))];
    room.owners.seen(first.registered, 'r1');
    expect(await errorOf(room.cancel('r1'))).toEqual({
      code: Code.FailedPrecondition,
      message: 'more than one subsystem has a run r1: say which by one of a~r1, b~r1, c~r1',
    });
    await room.cancel('b~r1');
    expect(effectsOf(...all)).toEqual(['b: CancelRun r1']);
  });

  it('reaches nobody while the owner is not there', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    const shipping = room.add('shipping', { runs: ['r1'] });
    room.owners.seen(billing.registered, 'r1');
    room.directory.setState('billing', 'stale');
    expect((await errorOf(room.cancel('r1')))?.code).toBe(Code.Unavailable);
    expect((await errorOf(room.cancel('billing~r1')))?.code).toBe(Code.Unavailable);
    expect(effectsOf(billing, shipping)).toEqual([]);
  });

  it('reaches the true owner although another claims the run in its payload', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    const hostile = room.add('hostile', { runs: ['r2'], domain: 'billing' });
    // It has listed a run that it does not have.
    room.owners.seen(hostile.registered, 'r1');
    await room.cancel('r1');
    expect(effectsOf(billing, hostile)).toEqual(['billing: CancelRun r1']);
  });

  it('of which the answer is lost is done once, and is told to be unknown', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    billing.connection.losesReplies = true;
    expect(await errorOf(room.cancel('r1'))).toEqual({
      code: Code.Unknown,
      message: expect.stringMatching(/may have taken effect: look at run r1 before you ask again$/),
    });
    expect(effectsOf(billing)).toEqual(['billing: CancelRun r1']);
  });

  it('is sent again with its key without a second effect', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    billing.connection.losesReplies = true;
    const retry = (): Promise<unknown> => room.commands.retryRun(ANN, create(RetryRunRequestSchema, { runId: 'r1' }));
    expect((await errorOf(retry()))?.code).toBe(Code.Unknown);
    billing.connection.losesReplies = false;
    expect(await retry()).toMatchObject({ value: { newRunId: 'billing-new-1' } });
    expect(effectsOf(billing)).toEqual(['billing: RetryRun r1']);
  });

  it('is not sent to a subsystem that does not offer it, and is to one that has not said', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    billing.registered.capabilities = create(CapabilitiesSchema, { retryRun: true });
    expect(await errorOf(room.cancel('r1'))).toEqual({
      code: Code.Unimplemented,
      message: 'subsystem billing does not offer cancel_run',
    });
    expect(effectsOf(billing)).toEqual([]);
    billing.registered.capabilities = undefined;
    await room.cancel('r1');
    expect(effectsOf(billing)).toEqual(['billing: CancelRun r1']);
  });

  it('is not sent twice when what its owner does not have is a step', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['r1'] });
    billing.connection.fail('SkipStep', Code.NotFound, 'no such step');
    const request = create(SkipStepRequestSchema, { runId: 'r1', stepName: 'paint' });
    expect(await errorOf(room.commands.skipStep(ANN, request))).toEqual({
      code: Code.NotFound,
      message: 'no such step',
    });
    expect(billing.connection.count('SkipStep')).toBe(1);
  });

  it('without a run or a step is refused', async () => {
    const room = new Room();
    expect((await errorOf(room.cancel('')))?.code).toBe(Code.InvalidArgument);
    const request = create(SkipStepRequestSchema, { runId: 'r1' });
    expect((await errorOf(room.commands.skipStep(ANN, request)))?.message).toBe('step_name must not be empty');
  });
});

const IDS = ['a', 'b', 'c'] as const;
const RUNS = ['r1', 'r2', 'x~1'] as const;
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('toggle' as const), id: fc.constantFrom(...IDS) }) },
  fc.record({ do: fc.constant('pause' as const), id: fc.constantFrom(...IDS) }),
  // A payload that claims a run, whether it is there or not.
  fc.record({ do: fc.constant('claim' as const), id: fc.constantFrom(...IDS), run: fc.constantFrom(...RUNS) }),
  { weight: 4, arbitrary: fc.record({ do: fc.constant('cancel' as const), run: fc.constantFrom(...RUNS) }) },
  fc.record({ do: fc.constant('cancelAt' as const), id: fc.constantFrom(...IDS), run: fc.constantFrom(...RUNS) }),
);

describe('commands, whoever joins, leaves, stalls or lies', () => {
  it('have one effect at the one owner that is connected, and none otherwise', async () => {
    const runsOf = fc.tuple(fc.subarray([...RUNS]), fc.subarray([...RUNS]), fc.subarray([...RUNS]));
    await fc.assert(
      fc.asyncProperty(runsOf, fc.array(step, { maxLength: 25 }), async (runs, steps) => {
        const room = new Room();
        const present = new Map<string, RoomSubsystem>();
        const everyone: RoomSubsystem[] = [];
        for (const now of steps) {
          const id = 'id' in now ? now.id : '';
          const subsystem = present.get(id);
          if (now.do === 'toggle' && subsystem) {
            room.directory.remove(id);
            present.delete(id);
          } else if (now.do === 'toggle') {
            const added = room.add(id, { runs: runs[IDS.indexOf(now.id)] ?? [] });
            present.set(id, added);
            everyone.push(added);
          } else if (now.do === 'pause' && subsystem) {
            room.directory.setState(id, subsystem.registered.state === 'stale' ? 'connected' : 'stale');
          } else if (now.do === 'claim' && subsystem) {
            room.owners.seen(subsystem.registered, now.run);
          } else if (now.do === 'cancel' || now.do === 'cancelAt') {
            const before = everyone.map((one) => effectsOf(one).length);
            const isQualified = now.do === 'cancelAt';
            const text = isQualified ? formatQualifiedId({ subsystemId: now.id, id: now.run }) : now.run;
            const failed = await errorOf(room.cancel(text));
            const added = everyone.flatMap((one, i) =>
              Array<RoomSubsystem>(effectsOf(one).length - (before[i] ?? 0)).fill(one),
            );

            const owners = [...present.values()].filter(
              ({ registered, services }) => services.data.run(now.run) && (!isQualified || registered.id === now.id),
            );
            const connected = owners.filter(({ registered }) => registered.state === 'connected');
            if (failed) expect(added).toHaveLength(0);
            else expect(added.map(({ registered }) => registered.id)).toEqual([connected[0]?.registered.id]);
            // Of the runs that several of those that can be asked have, none is touched by a bare id.
            if (!isQualified && connected.length > 1)
              expect([Code.FailedPrecondition, Code.Unavailable]).toContain(failed?.code);
            if (owners.length === 1 && connected.length === 1 && isQualified) expect(failed).toBeUndefined();
            const isQuiet = [...present.values()].every(({ registered }) => registered.state === 'connected');
            if (owners.length === 1 && isQuiet) expect(failed).toBeUndefined();
            if (owners.length === 0 && isQuiet) expect(failed?.code).toBe(Code.NotFound);
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});
