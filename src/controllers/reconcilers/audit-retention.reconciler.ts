import { Inject, Injectable } from '@nestjs/common';
import { type AuditConfig, AuditRetention, auditConfig } from '../../audit/index.js';
import type { HeldLease } from '../../leader-election/index.js';
import type { ReconcileResult, Reconciler } from '../reconciler.js';

const HOUR_MS = 3_600_000;

/** Removes what is too old from the audit log. */
@Injectable()
export class AuditRetentionReconciler implements Reconciler {
  readonly name = 'audit-retention';
  readonly timeoutMs = HOUR_MS;
  readonly periodMs: number;

  constructor(
    @Inject(auditConfig.token) config: Pick<AuditConfig, 'retentionPeriodMs'>,
    @Inject(AuditRetention) private readonly retention: Pick<AuditRetention, 'prune'>,
  ) {
    this.periodMs = config.retentionPeriodMs;
  }

  async reconcile(signal: AbortSignal, lease: HeldLease): Promise<ReconcileResult> {
    const { rows, segments, batches, files, isDryRun, dueRows, cutoff } = await this.retention.prune({ signal, lease });
    const detail = { segments, batches, files, dryRun: String(isDryRun), dueRows };
    return { processed: rows, changed: rows, detail: { ...detail, cutoff: cutoff?.toISOString() ?? 'legal hold' } };
  }
}
