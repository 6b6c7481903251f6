import { Injectable } from '@nestjs/common';
import type { Types } from 'mongoose';
import { type ClaimMarks, JobChanges } from '../job-changes.js';
import { JobCollection } from '../job-collection.js';
import type { JobDocument } from '../job.document.js';
import { HELD_STATES } from '../job-state.js';
import { endOfLanes } from '../lane.js';

/** A claimed job with what its agent is told. */
export type ClaimedJobDocument = Omit<JobDocument, 'result' | 'error' | 'history'>;

/** A queued job, as an index knows it. */
export type Candidate = Pick<JobDocument, '_id' | 'rank' | 'lane'>;

export interface Grant {
  readonly marks: ClaimMarks;
  readonly ids: readonly Types.ObjectId[];
}

const CLAIMED = { result: 0, error: 0, history: 0 } as const;
const IN_ORDER = { rank: 1, _id: 1 } as const;
/** MongoDB merges at most 200 ranges of an index in the order of a sort. */
export const MAX_MERGED_LANES = 200;
/** Documents in one answer of the database. */
const MAX_BATCH = 1_000;
/** Of one prefix. Jobs of further ones are found once those before are empty. */
const MAX_KNOWN_LANES = 1_000;

/** Who gets which job. Walks the index of queued jobs and stops; never looks at what it does not take. */
@Injectable()
export class JobClaimsRepository {
  constructor(
    private readonly jobs: JobCollection,
    private readonly changes: JobChanges,
  ) {}

  /** The lanes with this beginning that have queued jobs: one look into the index for each. */
  async lanes(prefix: string): Promise<string[]> {
    const found: string[] = [];
    const end = endOfLanes(prefix);
    for (let after: object = { $gte: prefix }; found.length < MAX_KNOWN_LANES;) {
      const next = await this.jobs.documents.findOne(
        { state: 'queued', lane: { ...after, $lt: end } },
        { projection: { lane: 1 }, sort: { lane: 1, ...IN_ORDER } },
      );
      if (next === null) break;
      found.push(next.lane);
      after = { $gt: next.lane };
    }
    return found;
  }

  /** The first jobs of these lanes. */
  async candidates(lanes: readonly string[], limit: number): Promise<Candidate[]> {
    const heads: Candidate[] = [];
    for (let start = 0; start < lanes.length; start += MAX_MERGED_LANES) {
      const some = lanes.slice(start, start + MAX_MERGED_LANES);
      const found = await this.jobs.documents
        .find({ lane: { $in: some }, state: 'queued' }, { projection: { _id: 1, rank: 1, lane: 1 }, batchSize: limit })
        .sort(IN_ORDER)
        .limit(limit)
        .toArray();
      heads.push(...found);
    }
    const sorted = lanes.length > MAX_MERGED_LANES ? heads.toSorted((a, b) => a.rank - b.rank) : heads;
    return sorted.slice(0, limit);
  }

  /** Gives each claim those of its jobs that are still queued. Returns how many; what they got is told by `ofClaims`. */
  async grant(grants: readonly Grant[]): Promise<number> {
    const operations = grants.map(({ marks, ids }) => ({
      updateMany: { filter: { _id: { $in: [...ids] }, state: 'queued' as const }, update: this.changes.claim(marks) },
    }));
    const { modifiedCount } = await this.jobs.documents.bulkWrite(operations, { ordered: false });
    return modifiedCount;
  }

  /** One job for one claim, in one command; of at most `MAX_MERGED_LANES` lanes. */
  grantFirst(lanes: readonly string[], marks: ClaimMarks): Promise<ClaimedJobDocument | null> {
    return this.jobs.documents.findOneAndUpdate(
      { lane: { $in: [...lanes] }, state: 'queued' },
      this.changes.claim(marks),
      { sort: IN_ORDER, returnDocument: 'after', projection: CLAIMED },
    );
  }

  /** What the claims have got and not given back, in the order of the queue. */
  async ofClaims(claimKeys: readonly string[]): Promise<ClaimedJobDocument[]> {
    // Whole documents, unsorted: the store hands them over as they lie.
    const found = await this.jobs.documents
      .find({ 'lease.claimKey': { $in: [...claimKeys] } }, { batchSize: MAX_BATCH })
      .toArray();
    return found.toSorted((a, b) => a.rank - b.rank || a._id.toHexString().localeCompare(b._id.toHexString()));
  }

  /** Of the claims, those that have jobs. */
  async repeated(claimKeys: readonly string[]): Promise<Set<string>> {
    const found = await this.jobs.documents
      .find({ 'lease.claimKey': { $in: [...claimKeys] } }, { projection: { 'lease.claimKey': 1 } })
      .toArray();
    return new Set(found.flatMap(({ lease }) => (lease ? [lease.claimKey] : [])));
  }

  /** Gives the jobs of a claim another token. */
  async reissue({ claimKey, hash }: ClaimMarks): Promise<void> {
    const filter = { 'lease.claimKey': claimKey, state: { $in: [...HELD_STATES] } };
    await this.jobs.documents.updateMany(filter, this.changes.reissue(hash));
  }
}
