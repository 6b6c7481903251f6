import { Injectable } from '@nestjs/common';
import type { Types, mongo } from 'mongoose';
import type { Change } from '../job-changes.js';
import { JobCollection } from '../job-collection.js';
import { type JobDocument, LISTED, type ListedJobDocument } from '../job.document.js';
import { type JobEvent, HELD_STATES, WAITING_STATES, statesBefore } from '../job-state.js';

/** A lease that was over when it was read. */
export interface OverdueLease extends Pick<JobDocument, '_id' | 'epoch'> {
  readonly expiresAt: Date;
}

/**
 * What reconcilers change, many jobs at once. The ids of a slice are read, then changed on the condition that what was
 * read still holds, then those that were changed are found by the mark of the sweep.
 */
@Injectable()
export class JobReleasesRepository {
  constructor(private readonly jobs: JobCollection) {}

  /** Held jobs whose lease was over before `now`. */
  async overdueLeases(now: Date, limit: number): Promise<OverdueLease[]> {
    const found = await this.jobs.documents
      .find({ 'lease.expiresAt': { $lt: now } }, { projection: { epoch: 1, 'lease.expiresAt': 1 } })
      .sort({ 'lease.expiresAt': 1 })
      .limit(limit)
      .toArray();
    return found.flatMap(({ _id, epoch, lease }) => (lease ? [{ _id, epoch, expiresAt: lease.expiresAt }] : []));
  }

  /** Of these leases only: one that was renewed or given since is another, even if the server's time was set back. */
  release(overdue: readonly OverdueLease[], change: Change, mark: string): Promise<ListedJobDocument[]> {
    const asRead = overdue.map(({ _id, epoch, expiresAt }) => ({ _id, epoch, 'lease.expiresAt': expiresAt }));
    const ids = overdue.map(({ _id }) => _id);
    return this.change(ids, { $or: asRead, state: inStates('release') }, change, mark);
  }

  releaseOf(
    agentId: string,
    ids: readonly Types.ObjectId[],
    change: Change,
    mark: string,
  ): Promise<ListedJobDocument[]> {
    return this.change(ids, { 'lease.agentId': agentId, state: inStates('release') }, change, mark);
  }

  /** Leases that end later than any that is given now could: the server's time has jumped back. Returns how many. */
  async shortenLeases(beyond: Date, end: unknown): Promise<number> {
    const { modifiedCount } = await this.jobs.documents.updateMany(
      { 'lease.expiresAt': { $gt: beyond }, state: { $in: [...HELD_STATES] } },
      [{ $set: { 'lease.expiresAt': end } }],
    );
    return modifiedCount;
  }

  /** Jobs that wait since before `since`. */
  waitingSince(since: Date, limit: number): Promise<Types.ObjectId[]> {
    return this.ids({ waitingSince: { $lt: since } }, { waitingSince: 1 }, limit);
  }

  expire(ids: readonly Types.ObjectId[], since: Date, change: Change, mark: string): Promise<ListedJobDocument[]> {
    return this.change(ids, { waitingSince: { $lt: since }, state: inStates('expire') }, change, mark);
  }

  /** Scheduled jobs whose time has come. */
  async due(now: Date, limit: number): Promise<Array<Pick<JobDocument, '_id' | 'tenantId'>>> {
    return this.jobs.documents
      .find({ runAt: { $lte: now } }, { projection: { tenantId: 1 } })
      .sort({ runAt: 1 })
      .limit(limit)
      .toArray();
  }

  queueDue(ids: readonly Types.ObjectId[], now: Date, change: Change, mark: string): Promise<ListedJobDocument[]> {
    return this.change(ids, { runAt: { $lte: now }, state: inStates('due') }, change, mark);
  }

  /** The first tenant after the one given, in the order of names, that has throttled jobs. */
  async nextThrottledTenant(after: string): Promise<string | null> {
    const next = await this.jobs.documents.findOne(
      { state: 'throttled', tenantId: { $gt: after } },
      { projection: { tenantId: 1 }, sort: { tenantId: 1, rank: 1, _id: 1 } },
    );
    return next?.tenantId ?? null;
  }

  /** Since when the job waits that waits longest; null if none does. */
  async oldestWait(): Promise<Date | null> {
    const oldest = await this.jobs.documents.findOne(
      { waitingSince: { $gt: new Date(0) }, state: { $in: [...WAITING_STATES] } },
      { projection: { waitingSince: 1 }, sort: { waitingSince: 1 } },
    );
    return oldest?.waitingSince ?? null;
  }

  private async ids(filter: mongo.Filter<JobDocument>, sort: mongo.Sort, limit: number): Promise<Types.ObjectId[]> {
    const found = await this.jobs.documents
      .find(filter, { projection: { _id: 1 } })
      .sort(sort)
      .limit(limit)
      .toArray();
    return found.map(({ _id }) => _id);
  }

  private async change(
    ids: readonly Types.ObjectId[],
    still: mongo.Filter<JobDocument>,
    change: Change,
    sweepId: string,
  ): Promise<ListedJobDocument[]> {
    if (ids.length === 0) return [];
    await this.jobs.documents.updateMany({ ...still, _id: { $in: [...ids] } }, change);
    return this.jobs.documents.find({ _id: { $in: [...ids] }, sweepId }, { projection: LISTED }).toArray();
  }
}

function inStates(event: JobEvent) {
  return { $in: [...statesBefore(event)] };
}
