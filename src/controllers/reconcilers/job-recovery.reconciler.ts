import { Inject, Injectable } from '@nestjs/common';
import { JobSweeps, type JobsConfig, jobsConfig } from '../../jobs/index.js';
import type { HeldLease } from '../../leader-election/index.js';
import type { ReconcileResult, Reconciler } from '../reconciler.js';

/** Brings back jobs that nobody takes further. */
@Injectable()
export class JobRecoveryReconciler implements Reconciler {
  readonly name = 'job-recovery';
  readonly reconcileOnStart = true;
  readonly periodMs: number;

  constructor(
    @Inject(jobsConfig.token) config: Pick<JobsConfig, 'recoveryPeriodMs'>,
    @Inject(JobSweeps) private readonly sweeps: Pick<JobSweeps, 'recover'>,
  ) {
    this.periodMs = config.recoveryPeriodMs;
  }

  async reconcile(signal: AbortSignal, lease: HeldLease): Promise<ReconcileResult> {
    const { changed, counts } = await this.sweeps.recover(signal, lease);
    return { processed: changed, changed, detail: { ...counts } };
  }
}
