import { describe, expect, it } from '@jest/globals';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import type { AuditEntry } from '../audit/index.js';
import { EventBus } from '../realtime/index.js';
import type { ControllerReconciled } from './controller-events.js';
import { ReconcileAudit } from './reconcile-audit.js';

const ROUND: ControllerReconciled = {
  name: 'job-recovery',
  epoch: 3,
  outcome: 'success',
  processed: 5,
  changed: 2,
  durationMs: 7.4,
  consecutiveErrors: 0,
};

async function rowsOf(rounds: ReadonlyArray<Partial<ControllerReconciled>>): Promise<AuditEntry[]> {
  const rows: AuditEntry[] = [];
  const bus = new EventBus(new FakeClock(), { eventBufferSize: 100 });
  new ReconcileAudit(bus, { record: (entry) => void rows.push(entry) }).register();
  await bus.start();
  for (const round of rounds) bus.publish('controller.reconciled', { ...ROUND, ...round });
  await settle();
  return rows;
}

describe('the audit of rounds', () => {
  it('has one row for each round that changed something', async () => {
    expect(await rowsOf([{}, { changed: 0 }, { name: 'queue-priority', changed: 1 }])).toMatchObject([
      {
        tenantId: '*',
        actor: { kind: 'subsystem', id: 'job-recovery' },
        action: 'controller.reconcile',
        target: { type: 'controller', id: 'job-recovery' },
        outcome: 'success',
        detail: { epoch: 3, processed: 5, changed: 2, durationMs: 7 },
      },
      { target: { id: 'queue-priority' } },
    ]);
  });

  it('has none for sealing, which would have to be sealed in turn, nor for retention, which has its own', async () => {
    expect(await rowsOf([{ name: 'audit-sealing' }, { name: 'audit-retention' }])).toEqual([]);
  });
});
