import { Inject, Injectable, Logger } from '@nestjs/common';
import { Types, mongo } from 'mongoose';
import { RANDOM, type Random } from '../runtime/random.js';
import { TenantsService } from '../tenants/index.js';
import { JobAnnouncer } from './streams/job-announcer.js';
import { type Change, JobChanges } from './job-changes.js';
import { JobCollection } from './job-collection.js';
import { HELD_STATES } from './job-state.js';
import { LISTED, type ListedJobDocument } from './job.document.js';

/** Jobs admitted by one command. */
const BATCH = 500;
const ACTOR = 'tenant-limits';

/**
 * A tenant's limit of running jobs. Its jobs wait as `throttled`, where no claim sees them; one that gets a place is
 * `queued`. Places are numbers below the limit under a unique index, so that not even two replicas at once give one
 * twice, and a place comes free with the same update that ends the attempt.
 */
@Injectable()
export class JobSlots {
  private readonly log = new Logger(JobSlots.name);

  constructor(
    private readonly jobs: JobCollection,
    private readonly changes: JobChanges,
    private readonly announcer: JobAnnouncer,
    @Inject(TenantsService) private readonly tenants: Pick<TenantsService, 'limitsOf'>,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  /** After a job may have given its place back. A failure is told in the log, and mended by the next sweep. */
  async fillAfter({ tenantId, lastSlot }: ListedJobDocument): Promise<void> {
    if (lastSlot === undefined) return;
    try {
      await this.fillTenant(tenantId);
    } catch (error) {
      this.log.warn({ message: 'throttled jobs could not be admitted', tenantId, error });
    }
  }

  /** By the limit that the tenant has now. */
  async fillTenant(tenantId: string): Promise<ListedJobDocument[]> {
    return this.fill(tenantId, (await this.tenants.limitsOf(tenantId)).running);
  }

  /**
   * Queues throttled jobs of the tenant, the first in rank, as long as there are places. Returns them. What `beforeEach`
   * throws ends it.
   */
  async fill(
    tenantId: string,
    limit: number | null,
    beforeEach: () => void = () => undefined,
  ): Promise<ListedJobDocument[]> {
    const admitted: ListedJobDocument[] = [];
    for (;;) {
      beforeEach();
      const some = await this.admit(tenantId, limit === null ? BATCH : await this.freePlaces(tenantId, limit));
      admitted.push(...some);
      if (some.length === 0) return admitted;
    }
  }

  /** Takes queued jobs without a place out of the queue: the tenant has got a limit since. Returns them. */
  async throttle(tenantId: string, beforeEach: () => void): Promise<ListedJobDocument[]> {
    const filter = { tenantId, state: 'queued' as const, slot: { $exists: false } };
    const throttled: ListedJobDocument[] = [];
    for (;;) {
      beforeEach();
      const found = await this.jobs.documents
        .find(filter, { projection: { _id: 1 } })
        .limit(BATCH)
        .toArray();
      if (found.length === 0) return throttled;
      const ids = found.map(({ _id }) => _id);
      const sweepId = this.random.uuid();
      await this.jobs.documents.updateMany(
        { ...filter, _id: { $in: ids } },
        this.changes.marked(this.changes.throttle(ACTOR), sweepId),
      );
      throttled.push(...(await this.marked(ids, sweepId)));
    }
  }

  private async room(tenantId: string, limit: number): Promise<number> {
    return limit - (await this.jobs.documents.countDocuments({ tenantId, state: { $in: ['queued', ...HELD_STATES] } }));
  }

  private async freePlaces(tenantId: string, limit: number): Promise<number[]> {
    const count = Math.min(BATCH, await this.room(tenantId, limit));
    if (count <= 0) return [];
    const taken = await this.jobs.documents
      .find({ tenantId, slot: { $gte: 0 } }, { projection: { slot: 1 } })
      .toArray();
    const isTaken = new Set(taken.map(({ slot }) => slot));
    const places: number[] = [];
    for (let place = 0; place < limit && places.length < count; place += 1) {
      if (!isTaken.has(place)) places.push(place);
    }
    return places;
  }

  /** `places`: which ones, or how many jobs that need none. */
  private async admit(tenantId: string, places: readonly number[] | number): Promise<ListedJobDocument[]> {
    const count = typeof places === 'number' ? places : places.length;
    if (count === 0) return [];
    const found = await this.jobs.documents
      .find({ tenantId, state: 'throttled' }, { projection: { _id: 1 } })
      .sort({ rank: 1, _id: 1 })
      .limit(count)
      .toArray();
    if (found.length === 0) return [];
    const sweepId = this.random.uuid();
    const change = (index: number): Change => {
      const place = typeof places === 'number' ? null : (places[index] ?? null);
      return this.changes.marked(this.changes.admit(place, ACTOR), sweepId);
    };
    const operations = found.map(({ _id }, index) => ({
      updateOne: { filter: { _id, state: 'throttled' as const }, update: change(index) },
    }));
    await ignoringTakenPlaces(this.jobs.documents.bulkWrite(operations, { ordered: false }));
    const ids = found.map(({ _id }) => _id);
    return this.marked(ids, sweepId);
  }

  private async marked(ids: readonly Types.ObjectId[], sweepId: string): Promise<ListedJobDocument[]> {
    const changed = await this.jobs.documents
      .find({ _id: { $in: [...ids] }, sweepId }, { projection: LISTED })
      .toArray();
    this.announcer.changed(changed);
    return changed;
  }
}

/** Another replica was first with a place: its job has it, ours goes on waiting. */
async function ignoringTakenPlaces(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof mongo.MongoBulkWriteError)) throw error;
    const errors = [error.writeErrors].flat();
    if (!errors.every((each) => isTakenPlace(each))) throw error;
  }
}

function isTakenPlace({ code, errmsg }: { code: number; errmsg?: string | undefined }): boolean {
  return code === 11_000 || (code === 1 && (errmsg?.includes('violates exclusion constraint') ?? false));
}
