import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { settle } from '../../../test/support/fake-clock.js';
import { SubsystemsRoom, callerOf } from '../../../test/support/subsystems-room.js';
import { type WorkflowDefinition, WorkflowDefinitionSchema } from '../gen/flowwatch/v1/types_pb.js';

const ANN = callerOf();

function workflow(id: string): WorkflowDefinition {
  return create(WorkflowDefinitionSchema, { id });
}

async function errorOf(work: Promise<unknown>): Promise<{ code: Code; message: string }> {
  try {
    await work;
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    return { code, message: rawMessage };
  }
  throw new Error('it was expected to fail');
}

describe('the owner of a workflow', () => {
  it('is the subsystem that lists it, without asking anybody', async () => {
    const room = new SubsystemsRoom();
    room.add('billing', { workflowIds: ['invoice'] });
    room.add('shipping', { workflowIds: ['pack'] });
    const found = await room.workflowOwners.find(ANN, 'pack');
    expect([found.subsystem.id, found.workflowId, found.qualified]).toEqual(['shipping', 'pack', false]);
    expect(room.directory.refreshed).toEqual([]);
  });

  it('is asked for again when nobody is known to have it, at most once a second', async () => {
    const room = new SubsystemsRoom();
    const { registered } = room.add('billing', { workflowIds: ['invoice'] });
    const missing = { code: Code.NotFound, message: 'no subsystem has a workflow refund' };

    expect(await errorOf(room.workflowOwners.find(ANN, 'refund'))).toEqual(missing);
    room.directory.onRefresh(() => Promise.resolve([...registered.workflows, workflow('refund')]));
    await room.clock.advance(999);
    expect(await errorOf(room.workflowOwners.find(ANN, 'refund'))).toEqual(missing);
    expect(room.directory.refreshed).toEqual(['billing']);
    await room.clock.advance(1);
    const found = await Promise.all([1, 2].map(() => room.workflowOwners.find(ANN, 'refund')));
    expect(found.map(({ subsystem }) => subsystem.id)).toEqual(['billing', 'billing']);
    expect(room.directory.refreshed).toEqual(['billing', 'billing']);
  });

  it('is unavailable, not missing, as long as somebody could not be asked', async () => {
    const room = new SubsystemsRoom();
    room.add('billing', { workflowIds: [] });
    room.add('shipping', { workflowIds: ['pack'], state: 'stale' });
    room.directory.onRefresh(() => Promise.reject(new ConnectError('slow', Code.DeadlineExceeded)));
    expect(await errorOf(room.workflowOwners.find(ANN, 'refund'))).toEqual({
      code: Code.Unavailable,
      message: 'no subsystem that answered has a workflow refund; missing: billing (timeout), shipping (stale)',
    });
    expect((await errorOf(room.workflowOwners.find(ANN, 'pack'))).message).toBe(
      'subsystem shipping is stale: try again when it is connected',
    );
  });

  it('is looked for without waiting for one that lets call after call time out, but by a probe that finds it again', async () => {
    const room = new SubsystemsRoom();
    room.add('billing', { workflowIds: ['invoice'] });
    const stuck = room.add('stuck', { workflowIds: ['pack'] });
    const { workflows } = stuck.registered;
    let stuckOutcome = Promise.withResolvers<readonly WorkflowDefinition[]>();
    room.directory.onRefresh(({ id, workflows: listed }) =>
      id === 'stuck' ? stuckOutcome.promise : Promise.resolve(listed),
    );
    const asked = (): number => room.directory.refreshed.filter((id) => id === 'stuck').length;
    const missing = 'no subsystem that answered has a workflow refund; missing: stuck (timeout)';
    const timeOut = async (): Promise<void> => {
      await room.clock.advance(10_000);
      stuckOutcome.reject(new ConnectError('it did not answer in time', Code.DeadlineExceeded));
      stuckOutcome = Promise.withResolvers();
      await settle();
    };
    for (let call = 1; call <= 3; call += 1) {
      const found = errorOf(room.workflowOwners.find(ANN, 'refund'));
      await settle();
      await timeOut();
      expect([(await found).message, asked()]).toEqual([missing, call]);
    }
    await room.clock.advance(999);
    expect([(await errorOf(room.workflowOwners.find(ANN, 'refund'))).message, asked()]).toEqual([missing, 3]);
    await room.clock.advance(1);
    // No time passes, nor is there a second probe beside the first.
    expect([(await errorOf(room.workflowOwners.find(ANN, 'refund'))).message, asked()]).toEqual([missing, 4]);
    await room.clock.advance(1_000);
    expect([(await errorOf(room.workflowOwners.find(ANN, 'refund'))).message, asked()]).toEqual([missing, 4]);
    stuckOutcome.resolve([...workflows, workflow('refund')]);
    await settle();
    expect((await room.workflowOwners.find(ANN, 'refund')).subsystem.id).toBe('stuck');
  });

  it('is told from another by a qualified id where both have it, until one no longer does', async () => {
    const room = new SubsystemsRoom();
    room.add('billing', { workflowIds: ['nightly', 'invoice'] });
    room.add('shipping', { workflowIds: ['nightly'] });
    expect(await errorOf(room.workflowOwners.find(ANN, 'nightly'))).toEqual({
      code: Code.FailedPrecondition,
      message: 'more than one subsystem has a workflow nightly: say which by one of billing~nightly, shipping~nightly',
    });
    expect((await room.workflowOwners.find(ANN, 'shipping~nightly')).subsystem.id).toBe('shipping');
    expect([room.workflowOwners.isAmbiguous('nightly'), room.workflowOwners.isAmbiguous('invoice')]).toEqual([
      true,
      false,
    ]);
    room.directory.change('billing', { workflows: [workflow('invoice')] });
    expect(room.workflowOwners.isAmbiguous('nightly')).toBe(false);
    expect((await room.workflowOwners.find(ANN, 'nightly')).subsystem.id).toBe('shipping');
    room.add('orders', { workflowIds: ['nightly', 'nightly'] });
    expect(room.workflowOwners.isAmbiguous('nightly')).toBe(true);
    room.directory.remove('shipping');
    expect(room.workflowOwners.isAmbiguous('nightly')).toBe(false);
    expect((await room.workflowOwners.find(ANN, 'nightly')).subsystem.id).toBe('orders');
  });

  it('of another tenant is nobody, and is not asked', async () => {
    const room = new SubsystemsRoom();
    room.add('theirs', { workflowIds: ['nightly', 'secret'], tenantId: 'team-b' });
    room.add('ours', { workflowIds: ['nightly'], tenantId: 'team-a' });
    const us = callerOf({ tenantId: 'team-a' });
    expect((await room.workflowOwners.find(us, 'nightly')).subsystem.id).toBe('ours');
    expect(room.workflowOwners.isAmbiguous('nightly', us.principal)).toBe(false);
    expect((await errorOf(room.workflowOwners.find(us, 'secret'))).code).toBe(Code.NotFound);
    expect((await errorOf(room.workflowOwners.find(us, 'theirs~secret'))).code).toBe(Code.NotFound);
    expect(room.directory.refreshed).toEqual(['ours']);
  });

  it('is not waited for by somebody who has left', async () => {
    const room = new SubsystemsRoom();
    room.add('billing', { workflowIds: [] });
    room.directory.onRefresh(() => new Promise(() => undefined));
    const leaving = new AbortController();
    const left = errorOf(room.workflowOwners.find(callerOf({ signal: leaving.signal }), 'refund'));
    await settle();
    leaving.abort(new ConnectError('too late', Code.DeadlineExceeded));
    expect((await left).code).toBe(Code.DeadlineExceeded);
  });

  it('is told without asking where an id says or leaves no doubt whose it is, in scope', () => {
    const room = new SubsystemsRoom();
    room.add('ours', { workflowIds: ['pack', 'send'], tenantId: 'team-a' });
    room.add('theirs', { workflowIds: ['pack'], tenantId: 'team-b' });
    const known = (tenantId: string, id: string) => room.workflowOwners.knownOwner({ tenantId }, id)?.id;
    expect([known('team-a', 'pack'), known('team-b', 'pack'), known('*', 'pack')]).toEqual([
      'ours',
      'theirs',
      undefined,
    ]);
    expect([known('*', 'send'), known('team-a', 'theirs~pack'), known('*', 'theirs~pack')]).toEqual([
      'ours',
      undefined,
      'theirs',
    ]);
    expect(room.directory.refreshed).toEqual([]);
  });
});
