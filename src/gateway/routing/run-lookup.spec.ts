import { describe, expect, it } from '@jest/globals';
import { Code, ConnectError } from '@connectrpc/connect';
import { settle } from '../../../test/support/fake-clock.js';
import { type RoomSubsystem, SubsystemsRoom, callerOf } from '../../../test/support/subsystems-room.js';
import { circleRefusal } from '../connections/gateway-circle.js';
import { FakeSubsystemConnection } from '../../../test/support/fake-subsystem-connection.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
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
