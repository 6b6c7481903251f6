import { Inject, Injectable } from '@nestjs/common';
import { type AuditConfig, AuditSealing, auditConfig } from '../../audit/index.js';
import type { HeldLease } from '../../leader-election/index.js';
import type { ReconcileResult, Reconciler } from '../reconciler.js';

/** Seals new audit rows, so that from then on no change to them goes unseen. */
@Injectable()
export class AuditSealingReconciler implements Reconciler {
  readonly name = 'audit-sealing';
  readonly reconcileOnStart = true;
  readonly periodMs: number;

  constructor(
    @Inject(auditConfig.token) config: Pick<AuditConfig, 'sealingPeriodMs'>,
    @Inject(AuditSealing) private readonly sealing: Pick<AuditSealing, 'seal'>,
  ) {
    this.periodMs = config.sealingPeriodMs;
  }

  async reconcile(signal: AbortSignal, lease: HeldLease): Promise<ReconcileResult> {
    const { rows, segments, newest } = await this.sealing.seal({ signal, lease });
    return { processed: rows, changed: rows, detail: { segments, newest } };
  }
}
