import { Injectable } from '@nestjs/common';
import { Types } from 'mongoose';
import { type Scope, tenantFilter } from '../../auth/principal.js';
import type { Change } from '../job-changes.js';
import { JobCollection } from '../job-collection.js';
import { LISTED, type ListedJobDocument } from '../job.document.js';
import { claimKeysOf } from '../claims/lease-token.js';
import type { LeaseClaim } from './report-writer.js';

/** Jobs that agents have, by agent. */
@Injectable()
export class JobReportsRepository {
  constructor(private readonly jobs: JobCollection) {}

  find(scope: Scope, jobId: string): Promise<ListedJobDocument | null> {
    return this.jobs.documents.findOne(
      { _id: new Types.ObjectId(jobId), ...tenantFilter(scope) },
      { projection: LISTED },
    );
  }

  /** Renews what of these is still held. */
  async renew(leases: readonly LeaseClaim[], change: Change): Promise<void> {
    // The jobs of a claim share a token, so that a heartbeat mostly is one update of many.
    const groups = Map.groupBy(leases, ({ agentId, hash }) => `${agentId}\n${hash}`);
    const operations = [...groups.values()].map((group) => ({
      updateMany: {
        filter: {
          _id: { $in: group.map(({ jobId }) => new Types.ObjectId(jobId)) },
          'lease.agentId': group[0]?.agentId ?? '',
          'lease.hash': group[0]?.hash ?? '',
        },
        update: change,
      },
    }));
    if (operations.length > 0) await this.jobs.documents.bulkWrite(operations, { ordered: false });
  }

  /** The jobs of these that the agent has, whatever its tokens. */
  heldOf(agentId: string, jobIds: readonly string[]): Promise<ListedJobDocument[]> {
    const ids = jobIds.map((id) => new Types.ObjectId(id));
    return this.jobs.documents.find({ _id: { $in: ids }, 'lease.agentId': agentId }, { projection: LISTED }).toArray();
  }

  /** Ids of jobs that the agent has. */
  async idsOf(agentId: string, limit: number): Promise<Types.ObjectId[]> {
    const { from, to } = claimKeysOf(agentId);
    const found = await this.jobs.documents
      .find({ 'lease.claimKey': { $gte: from, $lt: to } }, { projection: { _id: 1 } })
      .limit(limit)
      .toArray();
    return found.map(({ _id }) => _id);
  }

  /** The first agent after the one given, in the order of ids, that has a job. */
  async nextHolder(after: string): Promise<string | null> {
    const { to } = claimKeysOf(after);
    const next = await this.jobs.documents.findOne(
      { 'lease.claimKey': { $gte: after === '' ? '' : to } },
      { projection: { 'lease.agentId': 1 }, sort: { 'lease.claimKey': 1 } },
    );
    return next?.lease?.agentId ?? null;
  }
}
