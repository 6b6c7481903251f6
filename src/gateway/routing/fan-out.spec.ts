import { beforeEach, describe, expect, it } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import fc from 'fast-check';
import { AnswersRoom, CALL_TIMEOUT_MS } from '../../../test/support/answers-room.js';
import type { FakeSubsystemConnection } from '../../../test/support/fake-subsystem-connection.js';
import { settle } from '../../../test/support/fake-clock.js';
import { CallFailure, shownFailure } from '../connections/call-failure.js';
import { circleRefusal } from '../connections/gateway-circle.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { type Caller, callOptions } from './caller.js';
import { type FanOut, fanOut } from './fan-out.js';
import { timeForCalls } from './time-for-calls.js';

const { getRun } = RunService.method;

describe('a fan-out', () => {
  let room: AnswersRoom;
  beforeEach(() => {
    room = new AnswersRoom();
  });

  const add = (id: string): FakeSubsystemConnection =>
    room.add(id, ({ service }) => service(RunService, { getRun: () => ({ run: { id: `run of ${id}` } }) }));

  const ask = (caller: Caller = room.caller()): Promise<FanOut<unknown>> =>
    fanOut(caller, room.directory.list(caller.principal), ({ connection }, asking) =>
      connection.read(getRun, { runId: 'r' }, callOptions(asking)),
    );

  /** Until all calls have ended that hang. */
  async function askAndWait(caller?: Caller): Promise<FanOut<unknown>> {
    const asked = ask(caller);
    await room.clock.advance(CALL_TIMEOUT_MS);
    return asked;
  }

  async function trip(): Promise<{ good: FakeSubsystemConnection; stuck: FakeSubsystemConnection; heal: () => void }> {
    const [good, stuck] = [add('good'), add('stuck')];
    const heal = stuck.hang('GetRun');
    for (let call = 0; call < 3; call += 1) await askAndWait();
    return { good, stuck, heal };
  }

  const parts = ({ answers, failures }: FanOut<unknown>): unknown => ({
    answered: answers.map(({ subsystem }) => subsystem.id),
    failures: failures.map(({ subsystemId, reason }) => `${subsystemId} ${reason}`),
  });

  it('does not wait for one that let three calls in a row time out, and names it', async () => {
    const { stuck } = await trip();
    expect(parts(await ask())).toEqual({ answered: ['good'], failures: ['stuck timeout'] });
    expect(stuck.count('GetRun')).toBe(3);
  });

  it('waits for one that answered between timeouts', async () => {
    const [, stuck] = [add('good'), add('stuck')];
    for (let round = 0; round < 4; round += 1) {
      const heal = stuck.hang('GetRun');
      await askAndWait();
      await askAndWait();
      heal();
      expect(parts(await ask())).toEqual({ answered: ['good', 'stuck'], failures: [] });
    }
    expect(stuck.count('GetRun')).toBe(12);
  });

  it('does not take an error of the subsystem or an impatient caller for a timeout', async () => {
    const [, moody, slow] = [add('good'), add('moody'), add('slow')];
    moody.fail('GetRun', Code.Internal);
    slow.hang('GetRun');
    for (let call = 0; call < 5; call += 1) {
      const asked = ask(room.caller({ timeoutMs: 900 }));
      await room.clock.advance(900);
      expect(parts(await asked)).toEqual({ answered: ['good'], failures: ['moody failed', 'slow timeout'] });
    }
    expect([moody.count(), slow.count()]).toEqual([5, 5]);
  });

  it('probes it with one call after a pause, waits for that only as long as for others, and takes it back', async () => {
    const { good, stuck, heal } = await trip();
    await room.clock.advance(1_000);
    const release = good.hang('GetRun');
    const [first, second] = [ask(), ask()];
    await settle();
    expect(stuck.count('GetRun')).toBe(4);
    release();
    expect([parts(await first), parts(await second)]).toEqual([
      { answered: ['good'], failures: ['stuck timeout'] },
      { answered: ['good'], failures: ['stuck timeout'] },
    ]);
    // The probe has outlived the fan-out, and finds out.
    heal();
    await settle();
    expect(parts(await ask())).toEqual({ answered: ['good', 'stuck'], failures: [] });
  });

  it('uses the answer of a probe that came in time', async () => {
    const { good, heal } = await trip();
    heal();
    await room.clock.advance(1_000);
    const release = good.hang('GetRun');
    const asked = ask();
    await settle();
    release();
    expect(parts(await asked)).toEqual({ answered: ['good', 'stuck'], failures: [] });
  });

  it('leaves a probe alone when the caller goes', async () => {
    const { stuck, heal } = await trip();
    await room.clock.advance(1_000);
    const caller = new AbortController();
    const gone = ask(room.caller({ signal: caller.signal })).catch((error: unknown) => error);
    caller.abort();
    expect(await gone).toMatchObject({ code: Code.Canceled });
    heal();
    await settle();
    expect(parts(await ask())).toMatchObject({ answered: ['good', 'stuck'] });
    expect(stuck.count('GetRun')).toBe(5);
  });

  it('doubles the pause after each probe that timed out, up to 30 s', async () => {
    const { stuck } = await trip();
    let calls = 3;
    for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      await room.clock.advance(pauseMs - 1);
      await ask();
      expect(stuck.count('GetRun')).toBe(calls);
      await room.clock.advance(1);
      await ask();
      calls += 1;
      expect(stuck.count('GetRun')).toBe(calls);
      await room.clock.advance(CALL_TIMEOUT_MS);
    }
  });

  it('still calls it when it alone is meant', async () => {
    const { stuck, heal } = await trip();
    heal();
    expect((await stuck.read(getRun, { runId: 'r' })).run?.id).toBe('run of stuck');
  });

  it('takes what a subsystem is out of for its failure, and what we refuse to read for too large', async () => {
    const [, spent, large] = [add('good'), add('spent'), add('large')];
    spent.fail('GetRun', Code.ResourceExhausted, 'the quota of this hour is used up');
    const tooLarge = new CallFailure('oversized', 'its answer has more than 9 bytes');
    large.read = () => Promise.reject(shownFailure(tooLarge, 'large', false));
    expect(parts(await ask())).toEqual({ answered: ['good'], failures: ['large oversized', 'spent failed'] });
  });

  it('has neither an answer nor a failure of a gateway that it came through', async () => {
    const circle = room.add('circle', ({ service }) =>
      service(RunService, {
        getRun: () => {
          throw circleRefusal('it has been here before');
        },
      }),
    );
    expect(parts(await ask())).toEqual({ answered: [], failures: [] });
    add('good');
    for (let call = 0; call < 5; call += 1) {
      expect(parts(await ask())).toEqual({ answered: ['good'], failures: [] });
    }
    expect(circle.count('GetRun')).toBe(6);
    const stuck = add('stuck');
    stuck.fail('GetRun', Code.Internal);
    expect(parts(await ask())).toEqual({ answered: ['good'], failures: ['stuck failed'] });
  });

  it('takes no other refusal for one of a circle', async () => {
    add('picky').fail('GetRun', Code.FailedPrecondition, 'the run is archived');
    await expect(ask()).rejects.toMatchObject({
      code: Code.Unavailable,
      message: expect.stringMatching(/picky \(failed\)/),
    });
  });

  it('has one deadline for all that it asks of one subsystem', async () => {
    const [good, slow] = [add('good'), add('slow')];
    const release = slow.hang('GetRun');
    const asked = fanOut(
      room.caller(),
      room.directory.list(room.caller().principal),
      async ({ connection }, asking) => {
        await connection.read(getRun, { runId: 'first' }, callOptions(asking));
        if (connection === slow) slow.hang('GetRun');
        return connection.read(getRun, { runId: 'second' }, callOptions(asking));
      },
    );
    await room.clock.advance(CALL_TIMEOUT_MS - 1_000);
    release();
    await settle();
    await room.clock.advance(1_000);
    expect(parts(await asked)).toEqual({ answered: ['good'], failures: ['slow timeout'] });
    expect(good.count('GetRun')).toBe(2);
  });

  it('answers before the deadline of its caller, naming who is too slow', async () => {
    add('a');
    add('b').hang('GetRun');
    add('c');
    const asked = ask(room.caller({ timeoutMs: timeForCalls(2_000) }));
    await room.clock.advance(1_800);
    expect(parts(await asked)).toEqual({ answered: ['a', 'c'], failures: ['b timeout'] });
  });

  it('has at most one call of a tripped one under way, and finds it again when it answers, whatever happens', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
      fc.record({ do: fc.constantFrom('ask' as const, 'hang' as const, 'heal' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        room = new AnswersRoom();
        add('good');
        const stuck = add('stuck');
        let heal = (): void => undefined;
        const open: Array<Promise<unknown>> = [];
        for (const each of steps) {
          if (each.do === 'advance') await room.clock.advance(each.ms);
          else if (each.do === 'hang') {
            heal();
            heal = stuck.hang('GetRun');
          } else if (each.do === 'heal') heal();
          else {
            const wasOut = stuck.timeouts.isOpen;
            const asked = ask();
            open.push(asked);
            await settle(2);
            // Nobody waits for one that is out, not even who probes it.
            if (wasOut) expect(await Promise.race([asked.then(() => 'answered'), settle(5)])).toBe('answered');
          }
        }
        heal();
        // Each has answered in time, then one more finds it.
        await room.clock.advance(CALL_TIMEOUT_MS + 30_000);
        await Promise.all(open);
        await ask();
        await settle();
        expect(parts(await ask())).toEqual({ answered: ['good', 'stuck'], failures: [] });
        expect(room.clock.pendingTimers).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
