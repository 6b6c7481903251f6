import '../../../test/support/quiet-logger.js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import { errorOf } from '../../../test/contracts/subsystem-connection.contract.js';
import { AnswersRoom } from '../../../test/support/answers-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import { type RegistryRoom, makeRegistryRoom } from '../../../test/support/registry-room.js';
import { SYSTEM_SCOPE } from '../../auth/index.js';
import { WorkflowService } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { fanOut } from '../routing/fan-out.js';
import type { Subsystem } from './subsystem-directory.js';
import type { RegistrySession } from './registry-session.js';

const A = 'http://127.0.0.1:8090';
const B = 'http://127.0.0.1:8190';
const { listWorkflows } = WorkflowService.method;

let room: RegistryRoom;
beforeEach(async () => {
  room = makeRegistryRoom();
  await room.runnable.start();
});
afterEach(async () => {
  await room.runnable.stop(new AbortController().signal);
  expect(room.clock.pendingTimers).toBe(0);
});

const open = async (endpoint = A): Promise<RegistrySession> => {
  const said = { id: 'billing', name: '', description: '', metadata: {}, tenantId: 'default' };
  const session = room.registry.open({ ...said, endpoint, source: 'stream', end: () => undefined });
  await settle(20);
  // Long enough ago that the call-back is not taken for an answer to every doubt.
  await room.clock.advance(1_500);
  room.outlets.events.length = 0;
  return session;
};
const call = ({ connection }: Pick<Subsystem, 'connection'>): Promise<unknown> =>
  connection.read(listWorkflows, {}, {});
const instances = (): unknown[] =>
  room.service.get(SYSTEM_SCOPE, 'billing').instances.map(({ state, failure }) => `${state} ${String(failure)}`);

describe('an instance that calls do not find', () => {
  it('is left out at once and shown, and called back until it is there again', async () => {
    room.endpoints.listen(A);
    const { subsystem } = await open();
    room.endpoints.silence(A);
    expect((await errorOf(call(subsystem))).code).toBe(Code.Unavailable);
    await settle(20);
    expect(instances()).toEqual(['connecting refused']);
    let asked = 0;
    const all = fanOut(new AnswersRoom().caller(), [subsystem], (each) => ((asked += 1), call(each)));
    expect((await errorOf(all)).rawMessage).toContain('billing (connecting)');
    expect(asked).toBe(0);
    await room.clock.advance(60_000);
    room.endpoints.listen(A, ['moved']);
    await room.clock.advance(30_000);
    expect(instances()).toEqual(['connected null']);
    expect(subsystem.workflows.map(({ id }) => id)).toEqual(['moved']);
    expect(room.outlets.changes()).toEqual([
      'billing changed connecting',
      'billing changed connecting',
      'billing connected connected',
    ]);
  });

  it('is trusted when it is there at the call-back: no change, and one call-back a second', async () => {
    const there = room.endpoints.listen(A);
    const { subsystem } = await open();
    const before = there.count('GetCapabilities');
    for (let refused = 0; refused < 20; refused += 1) {
      room.endpoints.refuseOnce(A);
      await errorOf(call(subsystem));
      await settle(20);
      expect(subsystem.state).toBe('connected');
    }
    expect(there.count('GetCapabilities')).toBe(before + 1);
    await room.clock.advance(1_000);
    room.endpoints.refuseOnce(A);
    await errorOf(call(subsystem));
    await settle(20);
    expect(there.count('GetCapabilities')).toBe(before + 2);
    expect(room.outlets.events).toEqual([]);
  });

  it.each(['slow', 'failing'])('is not left out because it is %s', async (how) => {
    const there = room.endpoints.listen(A);
    const { subsystem } = await open();
    if (how === 'slow') there.hang('GetCapabilities');
    else there.fail('GetCapabilities', Code.Internal);
    room.endpoints.refuseOnce(A);
    await errorOf(call(subsystem));
    await room.clock.advance(11_000);
    expect(there.count('GetCapabilities')).toBe(2);
    expect(instances()).toEqual(['connected null']);
    expect(room.outlets.events).toEqual([]);
  });

  it('leaves the subsystem connected while another is there, which takes the calls', async () => {
    room.endpoints.listen(A);
    const other = room.endpoints.listen(B);
    const { subsystem } = await open();
    await open(B);
    room.endpoints.silence(A);
    const before = other.count('ListWorkflows');
    await call(subsystem);
    await settle(20);
    await call(subsystem);
    expect(other.count('ListWorkflows')).toBe(before + 2);
    expect([subsystem.state, ...instances()]).toEqual(['connected', 'connecting refused', 'connected null']);
    expect(room.outlets.changes()).toEqual(['billing changed connected']);
  });

  it('is called back at once when it registers anew, and not after the pause', async () => {
    const { subsystem } = await open();
    await room.clock.advance(120_000);
    const before = room.clock.monotonic();
    room.endpoints.listen(A);
    room.registry.open({
      id: 'billing',
      name: '',
      description: '',
      metadata: {},
      tenantId: 'default',
      endpoint: A,
      source: 'stream',
      end: () => undefined,
    });
    await settle(20);
    expect([subsystem.state, room.clock.monotonic()]).toEqual(['connected', before]);
  });

  it('that has gone altogether is called back no more', async () => {
    room.endpoints.listen(A);
    const { subsystem } = await open();
    room.endpoints.silence(A);
    await errorOf(call(subsystem));
    await settle(20);
    room.registry.remove(subsystem, 'deregistered');
    await settle(20);
    expect(room.endpoints.openCount).toBe(0);
  });
});
