import { Inject, Injectable } from '@nestjs/common';
import { type JobsConfig, QueueOrder, jobsConfig } from '../../jobs/index.js';
import type { HeldLease } from '../../leader-election/index.js';
import type { ReconcileResult, Reconciler } from '../reconciler.js';

/** Verifies the order of the queue, and repairs what a changed plan left wrong. */
@Injectable()
export class QueuePriorityReconciler implements Reconciler {
  readonly name = 'queue-priority';
  readonly periodMs: number;

  constructor(
    @Inject(jobsConfig.token) config: Pick<JobsConfig, 'priorityPeriodMs'>,
    @Inject(QueueOrder) private readonly order: Pick<QueueOrder, 'rerank' | 'forget'>,
  ) {
    this.periodMs = config.priorityPeriodMs;
  }

  async reconcile(signal: AbortSignal, lease: HeldLease): Promise<ReconcileResult> {
    const { processed, changed, ...detail } = await this.order.rerank(signal, lease);
    return { processed, changed, detail };
  }

  resigned(): void {
    this.order.forget();
  }
}
