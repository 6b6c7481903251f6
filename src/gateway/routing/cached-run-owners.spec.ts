import { describe, expect, it } from '@jest/globals';
import { Code, ConnectError } from '@connectrpc/connect';
import { ALL_TENANTS } from '../../auth/principal.js';
import { settle } from '../../../test/support/fake-clock.js';
import { SubsystemsRoom, callerOf } from '../../../test/support/subsystems-room.js';

const ANN = callerOf();

async function errorOf(work: Promise<unknown>): Promise<{ code: Code; message: string }> {
  try {
    await work;
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    return { code, message: rawMessage };
  }
  throw new Error('it was expected to fail');
}

describe('the owner of a run', () => {
  it('is looked for at all subsystems once, and remembered', async () => {
    const room = new SubsystemsRoom();
    const billing = room.add('billing', { runs: ['r1'] });
    const shipping = room.add('shipping', { runs: ['r2'] });

    const first = await room.owners.find(ANN, 'r2');
    const second = await room.owners.find(ANN, 'r2');

    expect(first).toEqual({ subsystem: shipping.registered, runId: 'r2', qualified: false });
    expect(second).toEqual(first);
    expect([billing.connection.count(), shipping.connection.count()]).toEqual([1, 1]);
    expect(room.owners.figures()).toEqual({ size: 1, hits: 1, lookups: 1 });
  });

  it('is looked for once by those who ask at the same time, and one who leaves takes it from nobody', async () => {
    const room = new SubsystemsRoom();
    const billing = room.add('billing', { runs: ['r1'] });
    const release = billing.connection.hang('GetRun');
    const leaving = new AbortController();

    const left = errorOf(room.owners.find(callerOf({ signal: leaving.signal }), 'r1'));
    const stayed = Promise.all([1, 2, 3].map(() => room.owners.find(ANN, 'r1')));
    leaving.abort(new ConnectError('gone', Code.Canceled));
    expect((await left).code).toBe(Code.Canceled);
    release();

    expect((await stayed).map(({ subsystem }) => subsystem.id)).toEqual(['billing', 'billing', 'billing']);
    expect(billing.connection.count()).toBe(1);
  });

  it('is no longer looked for when all who asked have left', async () => {
    const room = new SubsystemsRoom();
    const billing = room.add('billing', { runs: ['r1'] });
    billing.connection.hang('GetRun');
    const leaving = new AbortController();
    const left = errorOf(room.owners.find(callerOf({ signal: leaving.signal }), 'r1'));
    leaving.abort(new ConnectError('too late', Code.DeadlineExceeded));
    expect((await left).code).toBe(Code.DeadlineExceeded);
    await settle();
    expect(billing.connection.calls[0]?.options.signal?.aborted).toBe(true);
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('is the subsystem that the run came from, whatever its payload claims', async () => {
    const room = new SubsystemsRoom();
    room.add('billing', { runs: ['r1'] });
    const hostile = room.add('hostile', { runs: ['r9'], domain: 'billing' });
    room.owners.seen(hostile.registered, 'r9');
    expect((await room.owners.find(ANN, 'r9')).subsystem.id).toBe('hostile');
    expect((await room.owners.find(ANN, 'r1')).subsystem.id).toBe('billing');
  });

  it('is told from another by a qualified id where both have the run', async () => {
    const room = new SubsystemsRoom();
    room.add('billing', { runs: ['r/1~x'] });
    room.add('shipping', { runs: ['r/1~x'] });

    expect(await errorOf(room.owners.find(ANN, 'r/1~x'))).toEqual({
      code: Code.FailedPrecondition,
      message: 'more than one subsystem has a run r/1~x: say which by one of billing~r%2F1%7Ex, shipping~r%2F1%7Ex',
    });
    expect(room.owners.isAmbiguous('r/1~x')).toBe(true);
    const { subsystem, runId, qualified } = await room.owners.find(ANN, 'shipping~r%2F1%7Ex');
    expect([subsystem.id, runId, qualified]).toEqual(['shipping', 'r/1~x', true]);
  });

  it('is one again when the other has lost the run', async () => {
    const room = new SubsystemsRoom();
    const billing = room.add('billing', { runs: ['r1'] });
    const shipping = room.add('shipping');
    room.owners.seen(billing.registered, 'r1');
    room.owners.seen(shipping.registered, 'r1');
    expect(room.owners.isAmbiguous('r1')).toBe(true);
    expect((await room.owners.find(ANN, 'r1')).subsystem.id).toBe('billing');
    expect(room.owners.isAmbiguous('r1')).toBe(false);
  });

  it('is looked for everywhere before a mutation if it was only seen', async () => {
    const room = new SubsystemsRoom();
    const billing = room.add('billing', { runs: ['r1', 'r2'] });
    const shipping = room.add('shipping', { runs: ['r1'] });
    room.owners.seen(billing.registered, 'r1');
    room.owners.seen(billing.registered, 'r2');

    expect((await room.owners.find(ANN, 'r1')).subsystem.id).toBe('billing');
    expect((await errorOf(room.owners.findSole(ANN, 'r1'))).code).toBe(Code.FailedPrecondition);
    expect((await room.owners.findSole(ANN, 'r2')).subsystem.id).toBe('billing');
    const asked = shipping.connection.count();
    expect((await room.owners.findSole(ANN, 'r2')).subsystem.id).toBe('billing');
    expect(shipping.connection.count()).toBe(asked);
  });

  it.each(['a list', 'a mutation', 'a read that had to look'])(
    'is believed of one that was seen, until %s has shown the run at another: then reads are refused too',
    async (witness) => {
      const room = new SubsystemsRoom();
      const billing = room.add('billing', { runs: ['r1'] });
      const shipping = room.add('shipping', { runs: ['r1'] });
      if (witness !== 'a read that had to look') {
        room.owners.seen(billing.registered, 'r1');
        for (let read = 0; read < 3; read += 1)
          expect((await room.owners.find(ANN, 'r1')).subsystem.id).toBe('billing');
        expect(shipping.connection.count()).toBe(0);
      }
      if (witness === 'a list') room.owners.seen(shipping.registered, 'r1');
      if (witness === 'a mutation') await errorOf(room.owners.findSole(ANN, 'r1'));
      for (const work of [() => room.owners.find(ANN, 'r1'), () => room.owners.findSole(ANN, 'r1')]) {
        for (let repeat = 0; repeat < 2; repeat += 1) {
          expect(await errorOf(work())).toMatchObject({ code: Code.FailedPrecondition });
          expect(room.owners.isAmbiguous('r1')).toBe(true);
        }
      }
      // Neither a list that shows it at one of them alone, nor one that is away, makes it that one's.
      room.owners.seen(billing.registered, 'r1');
      room.directory.setState('shipping', 'stale');
      expect(await errorOf(room.owners.find(ANN, 'r1'))).toMatchObject({ code: Code.FailedPrecondition });
      room.directory.setState('shipping', 'connected');
      shipping.services.data.runs.length = 0;
      expect((await room.owners.find(ANN, 'r1')).subsystem.id).toBe('billing');
      room.owners.seen(shipping.registered, 'r1');
      room.directory.remove('shipping');
      expect((await room.owners.find(ANN, 'r1')).subsystem.id).toBe('billing');
    },
  );

  it('is looked for again before a mutation when another subsystem has joined', async () => {
    const room = new SubsystemsRoom();
    room.add('billing', { runs: ['r1'] });
    expect((await room.owners.findSole(ANN, 'r1')).subsystem.id).toBe('billing');
    room.add('shipping', { runs: ['r1'] });
    expect((await errorOf(room.owners.findSole(ANN, 'r1'))).code).toBe(Code.FailedPrecondition);
  });

  it('is not passed over for another while it is not connected', async () => {
    const room = new SubsystemsRoom();
    room.add('billing', { runs: ['r1'] });
    const { registered } = room.add('shipping', { runs: ['r1', 'r2'] });
    room.owners.seen(registered, 'r1');
    room.directory.setState('shipping', 'stale');

    const stale = { code: Code.Unavailable, message: 'subsystem shipping is stale: try again when it is connected' };
    expect(await errorOf(room.owners.find(ANN, 'r1'))).toEqual(stale);
    expect(await errorOf(room.owners.findSole(ANN, 'r1'))).toEqual(stale);
    expect(await errorOf(room.owners.find(ANN, 'shipping~r1'))).toEqual(stale);
    expect(await errorOf(room.owners.find(ANN, 'r2'))).toEqual({
      code: Code.Unavailable,
      message: 'no subsystem that answered has a run r2; missing: shipping (stale)',
    });
  });

  it('is not known for a run that nobody has, and that is asked anew', async () => {
    const room = new SubsystemsRoom();
    const billing = room.add('billing');
    const missing = { code: Code.NotFound, message: 'no subsystem has a run r1' };
    expect(await errorOf(room.owners.find(ANN, 'r1'))).toEqual(missing);
    billing.services.data.addRun({ id: 'r1' });
    expect((await room.owners.find(ANN, 'r1')).subsystem.id).toBe('billing');
    expect(await errorOf(new SubsystemsRoom().owners.find(ANN, 'r1'))).toEqual(missing);
  });

  it('is found though another is slow, and told for a mutation when that one has had its time', async () => {
    const room = new SubsystemsRoom();
    room.add('billing', { runs: ['r1'] });
    room.add('slow').connection.hang('GetRun');

    const read = room.owners.find(ANN, 'r1');
    await settle();
    await room.clock.advance(1_000);
    expect((await read).subsystem.id).toBe('billing');

    let found = '';
    const mutation = room.owners.findSole(ANN, 'r1').then(({ subsystem }) => (found = subsystem.id));
    await room.clock.advance(9_999);
    expect(found).toBe('');
    await room.clock.advance(1);
    expect(await mutation).toBe('billing');
  });

  it('is gone with its subsystem, also when it is heard of late', async () => {
    const room = new SubsystemsRoom();
    const { registered } = room.add('billing', { runs: ['r1'] });
    room.owners.seen(registered, 'r1');
    room.directory.remove('billing');
    room.owners.seen(registered, 'r1');
    expect((await errorOf(room.owners.find(ANN, 'r1'))).code).toBe(Code.NotFound);
    expect((await errorOf(room.owners.find(ANN, 'billing~r1'))).code).toBe(Code.NotFound);
    room.add('billing', { runs: ['r1'] });
    expect((await room.owners.find(ANN, 'r1')).subsystem).not.toBe(registered);
  });

  it('of another tenant is nobody, and makes nothing ambiguous', async () => {
    const room = new SubsystemsRoom();
    const theirs = room.add('theirs', { runs: ['r1', 'r2'], tenantId: 'team-b' });
    const ours = room.add('ours', { runs: ['r1'], tenantId: 'team-a' });
    const us = callerOf({ tenantId: 'team-a' });
    const all = callerOf({ tenantId: ALL_TENANTS });
    room.owners.seen(theirs.registered, 'r1');
    room.owners.seen(theirs.registered, 'r2');

    expect((await room.owners.findSole(us, 'r1')).subsystem).toBe(ours.registered);
    expect(room.owners.isAmbiguous('r1', us.principal)).toBe(false);
    expect(await errorOf(room.owners.find(us, 'r2'))).toEqual({
      code: Code.NotFound,
      message: 'no subsystem has a run r2',
    });
    expect((await errorOf(room.owners.find(us, 'theirs~r1'))).code).toBe(Code.NotFound);
    expect((await errorOf(room.owners.find(all, 'r1'))).code).toBe(Code.FailedPrecondition);
    // By the last one alone, who sees both: for the run, and whether it claims any.
    expect(theirs.connection.calls.map(({ input }) => input)).toEqual([{ runId: 'r1' }, { runId: 'made-up' }]);
  });

  it('may itself be a gateway that has qualified the id', async () => {
    const room = new SubsystemsRoom();
    const chained = room.add('chained', { runs: ['inner~r1'] });
    expect(await room.owners.find(ANN, 'inner~r1')).toMatchObject({ runId: 'inner~r1', qualified: false });
    room.add('inner', { runs: ['r1'] });
    expect(room.owners.isAmbiguous('inner~r1')).toBe(true);
    expect((await room.owners.find(ANN, 'inner~r1')).subsystem.id).toBe('inner');
    expect((await room.owners.find(ANN, 'chained~inner%7Er1')).subsystem).toBe(chained.registered);
  });

  it('is forgotten before others when there is no room for all', async () => {
    const room = new SubsystemsRoom(2);
    const { registered } = room.add('billing', { runs: ['r1', 'r2', 'r3'] });
    for (const runId of ['r1', 'r2', 'r1', 'r3']) room.owners.seen(registered, runId);
    expect(room.owners.figures().size).toBe(2);
    await room.owners.find(ANN, 'r1');
    expect(room.owners.figures().lookups).toBe(0);
    await room.owners.find(ANN, 'r2');
    expect(room.owners.figures().lookups).toBe(1);
  });

  it('is told without asking where an id says or leaves no doubt whose it is, in scope', () => {
    const room = new SubsystemsRoom();
    const ours = room.add('ours', { runs: ['r1'], tenantId: 'team-a' });
    const theirs = room.add('theirs', { runs: ['r1'], tenantId: 'team-b' });
    for (const { registered } of [ours, theirs]) room.owners.seen(registered, 'r1');
    const known = (tenantId: string, id: string) => room.owners.knownOwner({ tenantId }, id)?.id;
    expect([known('team-a', 'r1'), known('team-b', 'r1'), known(ALL_TENANTS, 'r1')]).toEqual([
      'ours',
      'theirs',
      undefined,
    ]);
    expect([known('team-a', 'ours~r9'), known('team-a', 'theirs~r1'), known('team-a', 'r2')]).toEqual([
      'ours',
      undefined,
      undefined,
    ]);
    expect([ours, theirs].map(({ connection }) => connection.count())).toEqual([0, 0]);
  });
});
