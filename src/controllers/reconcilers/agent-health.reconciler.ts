import { Inject, Injectable } from '@nestjs/common';
import { AgentHealthSweep, type AgentsConfig, agentsConfig } from '../../agents/index.js';
import type { HeldLease } from '../../leader-election/index.js';
import type { ReconcileResult, Reconciler } from '../reconciler.js';

/** Calls agents offline that are not seen any more. */
@Injectable()
export class AgentHealthReconciler implements Reconciler {
  readonly name = 'agent-health';
  readonly periodMs: number;

  constructor(
    @Inject(agentsConfig.token) config: Pick<AgentsConfig, 'healthPeriodMs'>,
    @Inject(AgentHealthSweep) private readonly health: Pick<AgentHealthSweep, 'sweep' | 'forget'>,
  ) {
    this.periodMs = config.healthPeriodMs;
  }

  async reconcile(signal: AbortSignal, lease: HeldLease): Promise<ReconcileResult> {
    const { watched, offline, released, held } = await this.health.sweep(signal, lease);
    const detail = held === null ? { offline, released } : { offline, released, held };
    return { processed: watched, changed: offline, detail };
  }

  resigned(): void {
    this.health.forget();
  }
}
