import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, type Registry } from 'prom-client';
import { METRICS_REGISTRY } from '../metrics/metrics-registry.js';
import { JOB_STATES, type JobState } from './job-state.js';

/** Counts of what becomes of jobs, and how the queue is. */
@Injectable()
export class JobsMetrics {
  private readonly changes: Counter<'state'>;
  private readonly parkedClaims: Gauge;
  private readonly oldestWait: Gauge;
  private readonly longestLead: Gauge;

  constructor(@Inject(METRICS_REGISTRY) registry: Registry) {
    const registers = [registry];
    this.changes = new Counter({
      name: 'crowsnest_job_changes_total',
      help: 'Changes of jobs by this process, by the state they left the job in.',
      labelNames: ['state'],
      registers,
    });
    for (const state of JOB_STATES) this.changes.inc({ state }, 0);
    this.parkedClaims = new Gauge({
      name: 'crowsnest_job_parked_claims',
      help: 'Claims of agents that wait for jobs.',
      registers,
    });
    this.oldestWait = new Gauge({
      name: 'crowsnest_job_oldest_wait_seconds',
      help: 'How long the job waits that waits longest, by the last look of queue-priority; 0 where that does not lead.',
      registers,
    });
    this.longestLead = new Gauge({
      name: 'crowsnest_tenant_lead_seconds',
      help: 'How far ahead the virtual clock is of the tenant that has most waiting, by the same look.',
      registers,
    });
  }

  changed(state: JobState): void {
    this.changes.inc({ state });
  }

  parked(claims: number): void {
    this.parkedClaims.set(claims);
  }

  queue(figures: { readonly oldestWaitMs: number; readonly longestLeadMs: number }): void {
    this.oldestWait.set(figures.oldestWaitMs / 1_000);
    this.longestLead.set(figures.longestLeadMs / 1_000);
  }
}
