import { Inject, Injectable } from '@nestjs/common';
import { type AgentsConfig, BootstrapTokenCleanup, agentsConfig } from '../../agents/index.js';
import type { HeldLease } from '../../leader-election/index.js';
import type { ReconcileResult, Reconciler } from '../reconciler.js';

/** Removes bootstrap tokens that are of no more use. */
@Injectable()
export class TokenCleanupReconciler implements Reconciler {
  readonly name = 'token-cleanup';
  readonly reconcileOnStart = true;
  readonly periodMs: number;

  constructor(
    @Inject(agentsConfig.token) config: Pick<AgentsConfig, 'tokenCleanupPeriodMs'>,
    @Inject(BootstrapTokenCleanup) private readonly cleanup: Pick<BootstrapTokenCleanup, 'sweep'>,
  ) {
    this.periodMs = config.tokenCleanupPeriodMs;
  }

  async reconcile(signal: AbortSignal, lease: HeldLease): Promise<ReconcileResult> {
    const removed = await this.cleanup.sweep(signal, lease);
    return { processed: removed, changed: removed };
  }
}
