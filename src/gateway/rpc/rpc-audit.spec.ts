import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { RpcRoom, transportOf } from '../../../test/support/rpc-room.js';
import type { AuditEntry } from '../../audit/index.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { ALL_SERVICES } from './rpc-handlers.js';
import { RpcAudit } from './rpc-audit.js';
import { accessOf } from './rpc-access.js';

const VIEWER = 'viewer-secret-of-24-chars';
const OPERATOR = 'operator-secret-of-24-chars';

describe('RpcAudit', () => {
  let room: RpcRoom;
  let rows: AuditEntry[];
  let audit: RpcAudit;

  beforeEach(async () => {
    room = await RpcRoom.open({ keys: { [VIEWER]: 'viewer', [OPERATOR]: 'operator' } });
    rows = [];
    audit = new RpcAudit({ record: (entry) => void rows.push(entry) });
  });
  afterEach(() => room.close());

  const as = (secret: string): { headers: Record<string, string> } => ({
    headers: { Authorization: `Bearer ${secret}` },
  });

  it('tells of changes, those that failed and those that were refused, and of nothing else', async () => {
    const runs = createClient(RunService, transportOf('grpc', '2', room.url));
    await runs.cancelRun({ runId: 'r-1' }, as(OPERATOR));
    await runs.bulkRetry({ runIds: ['a', 'b'] }, as(OPERATOR));
    await runs.getRun({ runId: 'r-1' }, as(OPERATOR));
    await runs.cancelRun({ runId: 'r-2' }, as(VIEWER)).catch(() => undefined);
    await runs.cancelRun({ runId: 'r-3' }).catch(() => undefined);
    room.answering = () => {
      throw new ConnectError('whether it took effect is not known', Code.Unknown);
    };
    await runs.retryRun({ runId: 'r-4' }, as(OPERATOR)).catch(() => undefined);
    await runs
      .retryRun({ runId: 'r-5' }, { headers: { ...as(OPERATOR).headers, 'Idempotency-Key': 'a b' } })
      .catch(() => undefined);
    await runs
      .getRun({ runId: 'r-6' }, { headers: { ...as(OPERATOR).headers, 'Idempotency-Key': 'a b' } })
      .catch(() => undefined);
    await room.untilEnded(8);
    for (const rpc of room.ended) audit.ended(rpc);
    expect(
      rows.map(({ actor, action, target, outcome, reason, detail }) => [
        actor.id,
        action,
        target?.id,
        outcome,
        reason,
        detail,
      ]),
    ).toEqual([
      [OPERATOR, 'run.cancel', 'r-1', 'success', undefined, undefined],
      // What answers here tells nothing of them.
      [OPERATOR, 'run.bulk-retry', undefined, 'failure', undefined, { runs: ['a', 'b'], failed: 2 }],
      [VIEWER, 'run.cancel', 'r-2', 'failure', 'auth.forbidden', undefined],
      [OPERATOR, 'run.retry', 'r-4', 'failure', 'gateway.outcome_unknown', undefined],
      [OPERATOR, 'run.retry', 'r-5', 'failure', 'request.invalid', undefined],
    ]);
    expect(rows[0]).toMatchObject({ tenantId: 'team-a', request: { route: '/flowwatch.v1.RunService/CancelRun' } });
  });

  it('has words for every change', () => {
    const methods = ALL_SERVICES.flatMap((service): ReadonlyArray<(typeof service.methods)[number]> => service.methods);
    const principal = { kind: 'user', id: 'o', role: 'operator', tenantId: 'default' } as const;
    for (const method of methods.filter((each) => accessOf(each) === 'operator')) {
      const rpc = { service: method.parent.typeName, method: method.name, access: 'operator', principal } as const;
      const read = { request: undefined, commanded: undefined, failure: undefined };
      audit.ended({ ...rpc, ...read, code: 'ok', status: 200, durationMs: 1, requestId: 'r' });
    }
    expect(rows).toHaveLength(9);
    for (const { action } of rows) expect(action).toMatch(/^(run|search)\.[a-z-]+$/);
  });
});
