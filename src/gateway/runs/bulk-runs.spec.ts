import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import fc from 'fast-check';
import { settle } from '../../../test/support/fake-clock.js';
import { type RoomSubsystem, SubsystemsRoom, callerOf } from '../../../test/support/subsystems-room.js';
import {
  type BulkActionResult,
  BulkActionResultSchema,
  BulkCancelRequestSchema,
  BulkRetryRequestSchema,
} from '../gen/flowwatch/v1/run_service_pb.js';
import { CapabilitiesSchema } from '../gen/flowwatch/v1/types_pb.js';
import type { Answer } from '../routing/answer.js';
import { retryAction } from './bulk-action.js';
import { actOnRuns } from './bulk-at-owner.js';
import { BulkRuns } from './bulk-runs.js';

const ANN = callerOf({ idempotencyKey: 'key-1' });

class Room extends SubsystemsRoom {
  readonly bulk = new BulkRuns(this.owners);

  cancel(runIds: readonly string[], caller = ANN): Promise<Answer<{ results: BulkActionResult[] }>> {
    return this.bulk.bulkCancel(caller, create(BulkCancelRequestSchema, { runIds: [...runIds], reason: 'enough' }));
  }

  retry(runIds: readonly string[]): Promise<Answer<{ results: BulkActionResult[] }>> {
    return this.bulk.bulkRetry(ANN, create(BulkRetryRequestSchema, { runIds: [...runIds] }));
  }
}

/** `<run>: <new run, or ok>`, or its error. */
function told({ value }: Answer<{ results: BulkActionResult[] }>): string[] {
  return value.results.map(({ runId, success, newRunId, error }) => `${runId}: ${success ? newRunId || 'ok' : error}`);
}

function effectsOf({ services }: RoomSubsystem): string[] {
  return services.effects.map(({ method, runId }) => `${method} ${runId}`);
}

describe('a bulk operation', () => {
  it('asks each owner once, and answers run by run in the order asked', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['b1', 'b2', 'both'] });
    const shipping = room.add('shipping', { runs: ['s1', 'both'] });

    const answer = await room.retry(['s1', 'b1', 'nobody', 'b1', 'both', 'shipping~both', 'billing~b1', 'b2']);

    expect(told(answer)).toEqual([
      's1: shipping-new-2',
      'b1: billing-new-3',
      'nobody: [not_found] no subsystem has a run nobody',
      'b1: billing-new-3',
      'both: [failed_precondition] more than one subsystem has a run both: say which by one of billing~both, shipping~both',
      'shipping~both: shipping~shipping-new-3',
      'billing~b1: billing~billing-new-3',
      'b2: billing-new-4',
    ]);
    expect(answer.failures).toEqual([]);
    expect(effectsOf(billing)).toEqual(['BulkRetry b1', 'BulkRetry b2']);
    expect(effectsOf(shipping)).toEqual(['BulkRetry s1', 'BulkRetry both']);
    expect([billing, shipping].map(({ connection }) => connection.count('BulkRetry'))).toEqual([1, 1]);
    expect(billing.services.effects[0]?.idempotencyKey).toBe('key-1');
  });

  it('tells of each run what its subsystem said of it', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['b1', 'b2'] });
    room.add('shipping');
    await room.owners.findSole(ANN, 'b2');
    billing.services.data.runs.pop();
    expect(told(await room.cancel(['b1', 'b2']))).toEqual(['b1: ok', 'b2: run b2 is not known']);
    // What was remembered of it is not believed again.
    expect(told(await room.cancel(['b2']))).toEqual(['b2: [not_found] no subsystem has a run b2']);
  });

  it('is done one after another where a subsystem has no such call, each with a key of its own', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['b1', 'b/2', 'b3'] });
    billing.connection.fail('BulkRetry', Code.Unimplemented);
    expect(told(await room.retry(['b1', 'b/2', 'b3']))).toEqual([
      'b1: billing-new-3',
      'b/2: billing-new-4',
      'b3: billing-new-5',
    ]);
    expect(billing.services.effects).toEqual(
      ['b1', 'b/2', 'b3'].map((runId) => ({
        method: 'RetryRun',
        runId,
        idempotencyKey: `key-1:${encodeURIComponent(runId)}`,
      })),
    );
  });

  it('stops there when a run of it gets no answer, and says which were not attempted', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['b1', 'b2'] });
    const shipping = room.add('shipping', { runs: ['s1'] });
    billing.connection.fail('BulkCancel', Code.Unimplemented);
    billing.connection.losesReplies = true;
    expect(told(await room.cancel(['b1', 's1', 'b2']))).toEqual([
      expect.stringMatching(/^b1: \[unknown\] .*look at run b1 before you ask again$/),
      's1: ok',
      expect.stringMatching(/^b2: not attempted, since an earlier one failed: \[unknown\] /),
    ]);
    expect(effectsOf(billing)).toEqual(['CancelRun b1']);
    expect(effectsOf(shipping)).toEqual(['BulkCancel s1']);
  });

  it('names the subsystem whose part failed, and does the others', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['b1', 'b2'] });
    const shipping = room.add('shipping', { runs: ['s1'] });
    const orders = room.add('orders', { runs: ['o1'] });
    billing.connection.losesReplies = true;
    orders.registered.capabilities = create(CapabilitiesSchema, { retryRun: true });
    const answer = await room.cancel(['b1', 's1', 'b2', 'o1']);
    expect(told(answer)).toEqual([
      expect.stringMatching(/^b1: \[unknown\] .*look at run b1 before you ask again$/),
      's1: ok',
      expect.stringMatching(/^b2: \[unknown\] .*look at run b2 before you ask again$/),
      'o1: [unimplemented] subsystem orders does not offer cancel_run',
    ]);
    expect(answer.failures).toEqual([
      { subsystemId: 'orders', reason: 'unimplemented' },
      { subsystemId: 'billing', reason: 'failed' },
    ]);
    expect([billing, shipping, orders].map(effectsOf)).toEqual([
      ['BulkCancel b1', 'BulkCancel b2'],
      ['BulkCancel s1'],
      [],
    ]);
  });

  it('does not take the silence of a subsystem for success', async () => {
    const { registered } = new Room().add('billing', { runs: ['b1', 'b2'] });
    const results = ['b1', 'b9'].map((runId) => create(BulkActionResultSchema, { runId, success: true }));
    const { outcomes } = await actOnRuns(ANN, registered, ['b1', 'b2'], {
      ...retryAction,
      all: () => Promise.resolve(results),
    });
    expect([...outcomes]).toEqual([
      ['b1', { newRunId: '' }],
      ['b2', { error: expect.stringMatching(/^\[unknown\] .*did not say .*look at run b2 before you ask again$/) }],
    ]);
  });

  it('does nothing for somebody who has left, and nothing of a request that is wrong in a part', async () => {
    const room = new Room();
    const billing = room.add('billing', { runs: ['b1'] });
    const release = billing.connection.hang('GetRun');
    const leaving = new AbortController();
    const left = room.cancel(['b1'], callerOf({ signal: leaving.signal })).catch((error: unknown) => error);
    await settle();
    leaving.abort(new ConnectError('gone', Code.Canceled));
    release();
    expect(ConnectError.from(await left).code).toBe(Code.Canceled);

    await expect(room.cancel(['b1', ''])).rejects.toThrow('run_ids[1] must not be empty');
    const tooMany = Array.from({ length: 101 }, () => 'b1');
    await expect(room.cancel(tooMany)).rejects.toThrow('run_ids must hold 1 to 100 ids, there are 101');
    await expect(room.cancel([])).rejects.toThrow('run_ids must hold 1 to 100 ids, there are 0');
    expect(effectsOf(billing)).toEqual([]);
    expect(told(await room.cancel(tooMany.slice(1)))).toHaveLength(100);
    expect(effectsOf(billing)).toEqual(['BulkCancel b1']);
  });

  it('tells of every position once, and the truth, whoever fails', async () => {
    const ids = ['a1', 'a2', 'b1', 'b2', 'both', 'a~both', 'b~both', 'none'];
    const behaviour = fc.constantFrom('whole', 'single', 'lossy', 'stale');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...ids), { minLength: 1, maxLength: 20 }),
        behaviour,
        behaviour,
        async (asked, a, b) => {
          const room = new Room();
          const subsystems = [
            room.add('a', { runs: ['a1', 'a2', 'both'] }),
            room.add('b', { runs: ['b1', 'b2', 'both'] }),
          ];
          for (const [i, how] of [a, b].entries()) {
            const subsystem = subsystems[i];
            if (how === 'single' || how === 'lossy') subsystem?.connection.fail('BulkCancel', Code.Unimplemented);
            if (subsystem) subsystem.connection.losesReplies = how === 'lossy';
            if (subsystem && how === 'stale') room.directory.setState(subsystem.registered.id, 'stale');
          }
          const { value } = await room.cancel(asked);
          expect(value.results.map(({ runId }) => runId)).toEqual(asked);
          const done = subsystems.flatMap(({ registered, services }) =>
            services.effects.map(({ runId }) => (runId === 'both' ? `${registered.id}~both` : runId)),
          );
          expect(done).toHaveLength(new Set(done).size);
          const bothHave = a !== 'stale' && b !== 'stale';
          for (const { runId, success, error } of value.results) {
            expect(success).toBe(error === '');
            const isBare = runId === 'both';
            const isDone = isBare ? done.some((one) => one.endsWith('~both')) : done.includes(runId);
            if (success) expect(isDone).toBe(true);
            if (runId === 'none' || (isBare && bothHave)) expect(success).toBe(false);
            if (!success && isDone && !isBare) expect(error).toContain('before you ask again');
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
