import { Injectable } from '@nestjs/common';
import { Types, mongo } from 'mongoose';
import { type Scope, tenantFilter } from '../auth/principal.js';
import { cursorFilter } from '../http/page.js';
import type { Pool } from '../tenants/index.js';
import { JobChanges } from './job-changes.js';
import { JobCollection } from './job-collection.js';
import type { QueuePlace } from './job.js';
import { type JobDocument, LISTED, type ListedJobDocument } from './job.document.js';
import { type JobState, TERMINAL_STATES, UNFINISHED_STATES, statesBefore } from './job-state.js';

export interface JobListQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly state?: readonly JobState[] | undefined;
  readonly type?: readonly string[] | undefined;
  readonly pool?: Pool | undefined;
  readonly tenantId?: string | undefined;
  readonly agentId?: string | undefined;
}

/** `(tenant, idempotency key)` of a job. */
export interface JobKey {
  readonly tenantId: string;
  readonly idempotencyKey: string;
}

/** The stored jobs, as users see them. What agents do to them is in the other repositories of the room. */
@Injectable()
export class JobsRepository {
  constructor(
    private readonly jobs: JobCollection,
    private readonly changes: JobChanges,
  ) {}

  /** Stores them; returns those whose idempotency key another job has got meanwhile, which are not stored. */
  async insert(documents: readonly JobDocument[]): Promise<JobDocument[]> {
    if (documents.length === 0) return [];
    try {
      await this.jobs.documents.insertMany([...documents], { ordered: false });
      return [];
    } catch (error) {
      if (!(error instanceof mongo.MongoBulkWriteError)) throw error;
      const errors = [error.writeErrors].flat();
      if (errors.some(({ code }) => code !== 11_000)) throw error;
      return errors.flatMap(({ index }) => documents[index] ?? []);
    }
  }

  /** Takes back jobs that nobody was told of. */
  async discard(ids: readonly Types.ObjectId[]): Promise<void> {
    await this.jobs.documents.deleteMany({ _id: { $in: [...ids] } });
  }

  async byKeys(keys: readonly JobKey[]): Promise<JobDocument[]> {
    if (keys.length === 0) return [];
    const byTenant = Map.groupBy(keys, ({ tenantId }) => tenantId);
    const found = [...byTenant].map(([tenantId, each]) =>
      this.jobs.documents
        .find({ tenantId, idempotencyKey: { $in: each.map(({ idempotencyKey }) => idempotencyKey) } })
        .toArray(),
    );
    return (await Promise.all(found)).flat();
  }

  find(scope: Scope, id: string): Promise<JobDocument | null> {
    return this.jobs.documents.findOne({ _id: new Types.ObjectId(id), ...tenantFilter(scope) });
  }

  listed(ids: readonly Types.ObjectId[]): Promise<ListedJobDocument[]> {
    return this.jobs.documents.find({ _id: { $in: [...ids] } }, { projection: LISTED }).toArray();
  }

  /** Those of the ids that there are jobs of. */
  async existing(ids: readonly string[]): Promise<ReadonlySet<string>> {
    const _id = { $in: ids.map((id) => new Types.ObjectId(id)) };
    const found = await this.jobs.documents.find({ _id }, { projection: { _id: 1 } }).toArray();
    return new Set(found.map((job) => job._id.toHexString()));
  }

  /** Newest first; one more than the limit where there is a next page. */
  list(scope: Scope, query: JobListQuery): Promise<ListedJobDocument[]> {
    const { state, type, pool, tenantId, agentId } = query;
    const filter = {
      $and: [
        tenantFilter(scope),
        cursorFilter(query),
        state === undefined ? {} : { state: { $in: [...state] } },
        type === undefined ? {} : { type: { $in: [...type] } },
        pool === undefined ? {} : { pool },
        tenantId === undefined ? {} : { tenantId },
        agentId === undefined ? {} : { agentId },
      ],
    };
    return this.jobs.documents
      .find(filter, { projection: LISTED })
      .sort({ _id: -1 })
      .limit(query.limit + 1)
      .toArray();
  }

  /**
   * At once for a job that waits, a flag on one that an agent has; null if it has ended, has the flag already, or is not
   * there.
   */
  cancel(scope: Scope, id: string, by: string): Promise<ListedJobDocument | null> {
    return this.jobs.documents.findOneAndUpdate(
      {
        _id: new Types.ObjectId(id),
        ...tenantFilter(scope),
        state: { $in: [...statesBefore('cancel')] },
        cancelRequested: false,
      },
      this.changes.cancel(by),
      { returnDocument: 'after', projection: LISTED },
    );
  }

  /** Null unless it has ended in a state that can be retried, and this version. */
  retry(job: Pick<JobDocument, '_id' | 'version'>, by: string, place: QueuePlace): Promise<ListedJobDocument | null> {
    return this.jobs.documents.findOneAndUpdate(
      { _id: job._id, version: job.version, state: { $in: [...statesBefore('retry')] } },
      this.changes.retry(by, place),
      { returnDocument: 'after', projection: LISTED },
    );
  }

  /** Unfinished jobs, counted no further than to `atMost`. */
  countUnfinished(tenantId: string, atMost: number): Promise<number> {
    return this.jobs.documents.countDocuments(
      { tenantId, state: { $in: UNFINISHED_STATES } },
      atMost === Number.POSITIVE_INFINITY ? {} : { limit: atMost },
    );
  }

  /** Scheduled and waiting ones, counted no further than to `atMost`. */
  countQueued(tenantId: string, atMost: number): Promise<number> {
    const state = { $in: ['scheduled', 'throttled', 'queued'] as JobState[] };
    return this.jobs.documents.countDocuments({ tenantId, state }, { limit: atMost });
  }

  /** Removes finished jobs of a tenant that is going. */
  async removeFinished(tenantId: string): Promise<void> {
    await this.jobs.documents.deleteMany({ tenantId, state: { $in: [...TERMINAL_STATES] } });
  }
}
