import { describe, expect, it } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { settle } from '../../../test/support/fake-clock.js';
import { type RoomSubsystem, SubsystemsRoom, callerOf } from '../../../test/support/subsystems-room.js';
import { circleRefusal } from '../connections/gateway-circle.js';
import { FakeSubsystemConnection } from '../../../test/support/fake-subsystem-connection.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { RunSchema } from '../gen/flowwatch/v1/types_pb.js';
import type { Caller } from './caller.js';

const ANN = callerOf();
const CALL_TIMEOUT_MS = 10_000;

async function told(work: Promise<{ readonly subsystem: { readonly id: string } }>): Promise<string> {
  try {
    return (await work).subsystem.id;
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    return `${Code[code]}: ${rawMessage}`;
  }
}

describe('a look-up beside a subsystem that lets call after call time out', () => {
  const MISSING = 'Unavailable: no subsystem that answered has a run r1; missing: stuck (timeout)';

  async function tripped(): Promise<{ room: SubsystemsRoom; stuck: RoomSubsystem; heal: () => void }> {
    const room = new SubsystemsRoom();
    room.add('billing', { runs: ['b1'] });
    const stuck = room.add('stuck', { runs: ['r1'] });
    const heal = stuck.connection.hang('GetRun');
    for (let call = 1; call <= 3; call += 1) {
      const asked = told(room.owners.find(ANN, 'r1'));
      await settle();
      await room.clock.advance(CALL_TIMEOUT_MS);
      expect(await asked).toBe(MISSING);
      expect(stuck.connection.count('GetRun')).toBe(call);
    }
    return { room, stuck, heal };
  }

  it('neither asks nor waits for it, and names it', async () => {
    const { room, stuck } = await tripped();
    expect(await told(room.owners.find(ANN, 'r1'))).toBe(MISSING);
    expect(await told(room.owners.findSole(ANN, 'b1'))).toBe('billing');
    expect(stuck.connection.count('GetRun')).toBe(3);
  });

  it('probes it with one call, which nobody waits for and which goes on when nobody waits any more', async () => {
    const { room, stuck, heal } = await tripped();
    await room.clock.advance(1_000);
    const both = [told(room.owners.find(ANN, 'r1')), told(room.owners.findSole(ANN, 'r2'))];
    // No time passes.
    expect(await Promise.all(both)).toEqual([MISSING, MISSING.replace('r1', 'r2')]);
    expect(stuck.connection.count('GetRun')).toBe(4);
    heal();
    await settle();
    expect(await told(room.owners.find(ANN, 'r1'))).toBe('stuck');
    expect(stuck.connection.count('GetRun')).toBe(5);
  });

  it('waits longer for the next probe when one has timed out', async () => {
    const { room, stuck } = await tripped();
    await room.clock.advance(1_000);
    expect(await told(room.owners.find(ANN, 'r1'))).toBe(MISSING);
    await room.clock.advance(CALL_TIMEOUT_MS);
    await room.clock.advance(1_999);
    await told(room.owners.find(ANN, 'r1'));
    expect(stuck.connection.count('GetRun')).toBe(4);
    await room.clock.advance(1);
    await told(room.owners.find(ANN, 'r1'));
    expect(stuck.connection.count('GetRun')).toBe(5);
  });
});

describe('a look-up that comes back to a gateway it came through', () => {
  /** `inner` asks us, and is asked by us. */
  function circle(): { room: SubsystemsRoom; inner: FakeSubsystemConnection; caller: Caller } {
    const room = new SubsystemsRoom();
    const refuse = (): never => {
      throw circleRefusal('it has been here before');
    };
    const inner = new FakeSubsystemConnection(({ service }) => service(RunService, { getRun: refuse }));
    room.directory.add({ id: 'inner', connection: inner });
    return { room, inner, caller: callerOf({ gatewayPath: 'inner-installation' }) };
  }

  it('finds nothing there, and misses nothing', async () => {
    const { room, inner, caller } = circle();
    expect(await told(room.owners.find(caller, 'r1'))).toBe('NotFound: no subsystem has a run r1');
    room.add('billing', { runs: ['r2'] });
    expect(await told(room.owners.findSole(caller, 'r2'))).toBe('billing');
    for (let call = 0; call < 5; call += 1) await told(room.owners.find(caller, 'r1'));
    expect(inner.count('GetRun')).toBe(7);
  });
});

describe('a look-up among subsystems of which one claims runs of others', () => {
  /** Answers for whatever it is asked, as `id` says of what was asked for. */
  function withClaimer(id: (asked: string) => string): { room: SubsystemsRoom; claimer: FakeSubsystemConnection } {
    const room = new SubsystemsRoom();
    room.add('billing', { runs: ['r1', 'r2'] });
    const claimer = new FakeSubsystemConnection(({ service }) =>
      service(RunService, { getRun: ({ runId }) => ({ run: { id: id(runId) } }) }),
    );
    room.directory.add({ id: 'claimer', connection: claimer });
    return { room, claimer };
  }

  it.each([
    ['another run', () => 'its-own'],
    ['a run without an id', () => ''],
    ['a run of a longer id', (asked: string) => `${asked}0`],
  ])('takes %s for none', async (_, id) => {
    const { room } = withClaimer(id);
    expect(await told(room.owners.find(ANN, 'r1'))).toBe('billing');
    expect(await told(room.owners.findSole(ANN, 'r2'))).toBe('billing');
    expect(await told(room.owners.find(ANN, 'r3'))).toBe('NotFound: no subsystem has a run r3');
    expect(room.owners.isAmbiguous('r1')).toBe(false);
  });

  it('finds out who claims whatever it is asked for, also when it has shown the run in a list', async () => {
    const { room, claimer } = withClaimer((asked) => asked);
    expect(await told(room.owners.find(ANN, 'r1'))).toBe('billing');
    expect(claimer.calls.map(({ input }) => input)).toEqual([{ runId: 'r1' }, { runId: 'made-up' }]);
    expect(await told(room.owners.findSole(ANN, 'r2'))).toBe('billing');
    const registered = room.directory.list(ANN.principal).find(({ id }) => id === 'claimer');
    if (registered) room.owners.seen(registered, 'r1');
    expect(room.owners.isAmbiguous('r1')).toBe(true);
    expect(await told(room.owners.find(ANN, 'r1'))).toBe('billing');
    expect(room.owners.isAmbiguous('r1')).toBe(false);
  });

  it('says how to ask where it cannot tell, and is not needed for an id that says its subsystem', async () => {
    // It knows the ids of others, and lies of no other.
    const { room, claimer } = withClaimer((asked) => (asked === 'made-up' ? '' : asked));
    const HOW = 'FailedPrecondition: more than one subsystem has a run r1: say which by one of billing~r1, claimer~r1';
    for (const work of [room.owners.find(ANN, 'r1'), room.owners.findSole(ANN, 'r1')]) {
      expect(await told(work)).toBe(HOW);
    }
    const before = claimer.count();
    for (const runId of ['r1', 'r2']) {
      expect(await room.owners.find(ANN, `billing~${runId}`)).toMatchObject({ runId, subsystem: { id: 'billing' } });
      expect(await told(room.owners.findSole(ANN, `billing~${runId}`))).toBe('billing');
    }
    expect(claimer.count()).toBe(before);
  });

  it('takes no one for an impostor that does not answer', async () => {
    const { room } = withClaimer((asked) => asked);
    const twin = room.add('twin', { runs: ['r1'] });
    twin.connection.read = async (method, input) => {
      const { runId } = input as { runId: string };
      if (runId === 'made-up') throw new ConnectError('it did not answer in time', Code.DeadlineExceeded);
      return create(method.output, { run: toBinary(RunSchema, create(RunSchema, { id: runId })) } as never);
    };
    expect(await told(room.owners.find(ANN, 'r1'))).toMatch(/say which by one of billing~r1, twin~r1$/);
  });
});
