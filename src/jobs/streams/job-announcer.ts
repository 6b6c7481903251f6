import { Inject, Injectable } from '@nestjs/common';
import { EventBus } from '../../realtime/index.js';
import { type ListedJobDocument, toJob } from '../job.document.js';
import type { Job } from '../job.js';
import { JobsMetrics } from '../jobs.metrics.js';

/** Tells what was stored. */
@Injectable()
export class JobAnnouncer {
  constructor(
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'publish'>,
    private readonly metrics: JobsMetrics,
  ) {}

  changed(documents: readonly ListedJobDocument[]): Job[] {
    const jobs = documents.map(toJob);
    for (const job of jobs) {
      this.metrics.changed(job.state);
      this.bus.publish('job.changed', { job }, { coalesceKey: job.id });
    }
    const lanes = new Set(documents.filter(({ state }) => state === 'queued').map(({ lane }) => lane));
    if (lanes.size > 0) this.bus.publish('jobs.queued', { lanes: [...lanes] });
    return jobs;
  }
}
