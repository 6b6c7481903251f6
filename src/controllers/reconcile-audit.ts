import { Inject, Injectable } from '@nestjs/common';
import { AuditLog } from '../audit/index.js';
import { ALL_TENANTS } from '../auth/index.js';
import { EventBus } from '../realtime/index.js';
import type { ControllerReconciled } from './controller-events.js';

/** A row about a seal would have to be sealed in turn; retention tells more of itself than this would. */
const WITHOUT_ROW: ReadonlySet<string> = new Set(['audit-sealing', 'audit-retention']);

/** One audit row for each round that changed something. Told by the replica that ran it, so by one. */
@Injectable()
export class ReconcileAudit {
  constructor(
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'subscribe'>,
    @Inject(AuditLog) private readonly log: Pick<AuditLog, 'record'>,
  ) {}

  /** Before the bus starts. */
  register(): void {
    this.bus.subscribe('reconcile audit', ['controller.reconciled'], ({ payload }) => this.tell(payload));
  }

  private tell({ name, outcome, epoch, processed, changed, durationMs }: ControllerReconciled): void {
    if (changed === 0 || WITHOUT_ROW.has(name)) return;
    this.log.record({
      tenantId: ALL_TENANTS,
      actor: { kind: 'subsystem', id: name },
      action: 'controller.reconcile',
      target: { type: 'controller', id: name },
      outcome,
      detail: { epoch, processed, changed, durationMs: Math.round(durationMs) },
    });
  }
}
