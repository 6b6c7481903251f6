import { Injectable } from '@nestjs/common';
import type { Types } from 'mongoose';
import type { Pool } from '../../tenants/index.js';
import { JobCollection } from '../job-collection.js';
import type { JobDocument } from '../job.document.js';
import type { JobState } from '../job-state.js';

export type RankedJob = Pick<JobDocument, '_id' | 'tenantId' | 'virtualStart' | 'priority' | 'rank'>;

const RANKED = { tenantId: 1, virtualStart: 1, priority: 1, rank: 1 } as const;
const RANKED_STATES: JobState[] = ['scheduled', 'throttled', 'queued'];

/** Ranks of jobs that wait or will. */
@Injectable()
export class QueueOrderRepository {
  constructor(private readonly jobs: JobCollection) {}

  /** Of a tenant, in the order of ids. */
  waitingOf(tenantId: string, after: Types.ObjectId | null, limit: number): Promise<RankedJob[]> {
    const beyond = after === null ? {} : { _id: { $gt: after } };
    return this.jobs.documents
      .find({ tenantId, ...beyond, state: { $in: RANKED_STATES } }, { projection: RANKED })
      .sort({ _id: 1 })
      .limit(limit)
      .toArray();
  }

  async hasWaiting(tenantId: string, pool: Pool): Promise<boolean> {
    const found = await this.jobs.documents.findOne(
      { tenantId, state: { $in: RANKED_STATES }, pool },
      { projection: { _id: 1 } },
    );
    return found !== null;
  }

  /** Writes the ranks of those that have not changed since. Returns how many were changed. */
  async rank(wrong: ReadonlyArray<{ readonly job: RankedJob; readonly rank: number }>): Promise<number> {
    const operations = wrong.map(({ job, rank }) => ({
      updateOne: {
        filter: { _id: job._id, rank: job.rank, state: { $in: RANKED_STATES } },
        update: { $set: { rank }, $inc: { version: 1 } },
      },
    }));
    const { modifiedCount } = await this.jobs.documents.bulkWrite(operations, { ordered: false });
    return modifiedCount;
  }
}
