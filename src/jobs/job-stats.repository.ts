import { Injectable } from '@nestjs/common';
import { JobCollection } from './job-collection.js';
import type { JobDocument } from './job.document.js';
import { JOB_STATES, type JobState } from './job-state.js';

export interface JobCount {
  readonly state: JobState;
  readonly type: string;
  readonly tenantId: string;
  readonly count: number;
}

/**
 * Counts by state, type and tenant: the index is asked for the next value and for the number of entries, so that no job
 * is read, however many there are.
 */
@Injectable()
export class JobStatsRepository {
  constructor(private readonly jobs: JobCollection) {}

  /** At most `limit` counts; null for all tenants. */
  async counts(tenantId: string | null, limit: number): Promise<{ counts: JobCount[]; isTruncated: boolean }> {
    const counts: JobCount[] = [];
    for (const state of JOB_STATES) {
      for (const type of await this.values({ state }, 'type', limit)) {
        const tenants = tenantId === null ? await this.values({ state, type }, 'tenantId', limit) : [tenantId];
        for (const tenant of tenants) {
          if (counts.length >= limit) return { counts, isTruncated: true };
          const count = await this.jobs.documents.countDocuments({ state, type, tenantId: tenant });
          if (count > 0) counts.push({ state, type, tenantId: tenant, count });
        }
      }
    }
    return { counts, isTruncated: false };
  }

  private async values(
    fixed: Partial<Pick<JobDocument, 'state' | 'type'>>,
    field: 'type' | 'tenantId',
    limit: number,
  ): Promise<string[]> {
    const found: string[] = [];
    while (found.length <= limit) {
      const after = found.at(-1);
      const next = await this.jobs.documents.findOne(
        { ...fixed, ...(after === undefined ? {} : { [field]: { $gt: after } }) },
        { projection: { [field]: 1 }, sort: { [field]: 1 } },
      );
      if (next === null) break;
      found.push(next[field]);
    }
    return found;
  }
}
