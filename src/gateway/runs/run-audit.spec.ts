import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { ALL_TENANTS } from '../../auth/principal.js';
import { SubsystemsRoom, callerOf } from '../../../test/support/subsystems-room.js';
import { BulkCancelRequestSchema, CancelRunRequestSchema } from '../gen/flowwatch/v1/run_service_pb.js';
import { CommandedRuns } from '../routing/commanded-runs.js';
import { BulkRuns } from './bulk-runs.js';
import { runAuditSubjects } from './run-audit.js';
import { RunCommands } from './run-commands.js';

class Room extends SubsystemsRoom {
  private readonly bulk = new BulkRuns(this.owners);
  private readonly commands = new RunCommands(this.owners);

  constructor() {
    super();
    this.add('billing', { runs: ['b1', 'b2', 'both'], tenantId: 'team-a' });
    this.add('shipping', { runs: ['s1', 'both'], tenantId: 'team-b' });
  }

  async rowOfCancel(runId: string, tenantId = ALL_TENANTS) {
    const commanded = new CommandedRuns();
    const caller = { ...callerOf({ tenantId }), commanded };
    const request = create(CancelRunRequestSchema, { runId });
    const isDone = await this.commands.cancelRun(caller, request).then(
      () => true,
      () => false,
    );
    const reason = isDone ? undefined : 'refused';
    return runAuditSubjects({ principal: caller.principal, named: { runId }, reason, commanded });
  }

  async rowsOfBulk(runIds: string[], tenantId = ALL_TENANTS) {
    const commanded = new CommandedRuns();
    const caller = { ...callerOf({ tenantId }), commanded };
    await this.bulk.bulkCancel(caller, create(BulkCancelRequestSchema, { runIds }));
    return runAuditSubjects({ principal: caller.principal, named: { runIds }, reason: undefined, commanded });
  }
}

const run = (id: string) => ({ type: 'run', id });

describe('the audit rows of a command', () => {
  it.each([
    ['b1', ALL_TENANTS, 'team-a', 'success'],
    ['shipping~s1', ALL_TENANTS, 'team-b', 'success'],
    ['s1', 'team-b', 'team-b', 'success'],
    // Of another tenant: not there for this one, and not told to the other.
    ['s1', 'team-a', 'team-a', 'failure'],
    ['both', ALL_TENANTS, ALL_TENANTS, 'failure'],
    ['nobody', ALL_TENANTS, ALL_TENANTS, 'failure'],
  ])('on %s by somebody of %s is of %s: a %s', async (id, caller, tenantId, outcome) => {
    const reason = outcome === 'failure' ? { reason: 'refused' } : {};
    expect(await new Room().rowOfCancel(id, caller)).toEqual([{ tenantId, target: run(id), outcome, ...reason }]);
  });

  it('that its owner refused are of the owner', async () => {
    const [row] = await new Room().rowOfCancel('billing~unheard-of');
    expect(row).toMatchObject({ tenantId: 'team-a', target: run('billing~unheard-of'), outcome: 'failure' });
  });

  it('of many runs are one for each tenant, with its runs and how many of them failed', async () => {
    expect(await new Room().rowsOfBulk(['b1', 's1', 'nobody', 'b1', 'both', 'shipping~s9', 'b2'])).toEqual([
      { tenantId: 'team-a', target: null, outcome: 'success', detail: { runs: ['b1', 'b2'], failed: 0 } },
      { tenantId: 'team-b', target: null, outcome: 'success', detail: { runs: ['s1', 'shipping~s9'], failed: 1 } },
      { tenantId: ALL_TENANTS, target: null, outcome: 'failure', detail: { runs: ['nobody', 'both'], failed: 2 } },
    ]);
  });

  it('of many runs by somebody of one tenant are one', async () => {
    expect(await new Room().rowsOfBulk(['b1', 's1'], 'team-a')).toEqual([
      { tenantId: 'team-a', target: null, outcome: 'success', detail: { runs: ['b1', 's1'], failed: 1 } },
    ]);
  });

  it('that was not carried out, refused or a repetition, name the runs all the same', () => {
    const bulk = { principal: { tenantId: ALL_TENANTS }, named: { runIds: ['b1'] }, commanded: undefined };
    expect(runAuditSubjects({ ...bulk, reason: 'auth.forbidden' })).toEqual([
      {
        tenantId: ALL_TENANTS,
        target: null,
        outcome: 'failure',
        reason: 'auth.forbidden',
        detail: { runs: ['b1'], failed: 1 },
      },
    ]);
    expect(runAuditSubjects({ ...bulk, reason: undefined })).toMatchObject([
      { outcome: 'success', detail: { runs: ['b1'] } },
    ]);
  });
});
