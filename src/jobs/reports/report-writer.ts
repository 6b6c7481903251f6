import { Injectable } from '@nestjs/common';
import { Types } from 'mongoose';
import type { Change } from '../job-changes.js';
import { JobCollection } from '../job-collection.js';
import { LISTED, type ListedJobDocument } from '../job.document.js';
import { type JobEvent, statesBefore } from '../job-state.js';

/** A lease as its holder names it. */
export interface LeaseClaim {
  readonly jobId: string;
  readonly agentId: string;
  readonly hash: string;
}

export interface Report extends LeaseClaim {
  readonly event: JobEvent;
  readonly change: Change;
  /** Equal for reports of one event and lease token whose change is the same. */
  readonly content: string;
}

interface Pending {
  readonly report: Report;
  readonly resolve: (job: ListedJobDocument | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Reports that one command writes. */
const BATCH = 500;

/** Batches on their way. What comes in while there are so many is written together. */
const MAX_BATCHES = 4;

/**
 * Writes reports of agents. Few writes at a time; what comes in meanwhile is written together by the next one, so that a
 * busy replica needs few commands for many reports and an idle one writes each at once. What waits is bounded by the
 * requests that the HTTP server lets in.
 */
@Injectable()
export class ReportWriter {
  private pending: Pending[] = [];
  private batches = 0;
  private isScheduled = false;
  /** No job is in two batches at a time, so that what is read after a write tells of its report. */
  private readonly inProgress = new Set<string>();

  constructor(private readonly jobs: JobCollection) {}

  /**
   * The job, if the report is true of it now: if it changed it, or had done so before. Null, and nothing changed, if the
   * lease is not held or the state is another than those in which the event can happen.
   */
  write(report: Report): Promise<ListedJobDocument | null> {
    return new Promise((resolve, reject) => {
      this.pending.push({ report, resolve, reject });
      this.schedule();
    });
  }

  /** Reports of one turn go together. */
  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    queueMicrotask(() => this.writePending());
  }

  private writePending(): void {
    this.isScheduled = false;
    while (this.batches < MAX_BATCHES) {
      const batch = this.takeBatch();
      if (batch.length === 0) return;
      void this.writeBatch(batch);
    }
  }

  private async writeBatch(batch: readonly Pending[]): Promise<void> {
    this.batches += 1;
    for (const { report } of batch) this.inProgress.add(report.jobId);
    try {
      await (batch.length === 1 ? this.writeOne(batch) : this.writeMany(batch));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    for (const { report } of batch) this.inProgress.delete(report.jobId);
    this.batches -= 1;
    this.writePending();
  }

  private takeBatch(): Pending[] {
    const taken = new Map<string, Pending>();
    const rest: Pending[] = [];
    for (const each of this.pending) {
      const { jobId } = each.report;
      if (taken.size < BATCH && !taken.has(jobId) && !this.inProgress.has(jobId)) taken.set(jobId, each);
      else rest.push(each);
    }
    this.pending = rest;
    return [...taken.values()];
  }

  private async writeOne([only]: readonly Pending[]): Promise<void> {
    if (!only) return;
    const { report, resolve } = only;
    const { jobId, agentId, hash, event, change } = report;
    const job = await this.jobs.documents.findOneAndUpdate(
      { _id: new Types.ObjectId(jobId), ...heldBy(agentId, hash, event) },
      change,
      { returnDocument: 'after', projection: LISTED },
    );
    resolve(job);
  }

  private async writeMany(batch: readonly Pending[]): Promise<void> {
    const groups = Map.groupBy(batch, ({ report }) => [report.event, report.hash, report.content].join('\n'));
    const operations = [...groups.values()].flatMap((group) => {
      const [first] = group;
      if (!first) return [];
      const { agentId, hash, event, change } = first.report;
      const ids = group.map(({ report }) => new Types.ObjectId(report.jobId));
      return [{ updateMany: { filter: { _id: { $in: ids }, ...heldBy(agentId, hash, event) }, update: change } }];
    });
    await this.jobs.documents.bulkWrite(operations, { ordered: false });
    const ids = batch.map(({ report }) => new Types.ObjectId(report.jobId));
    const found = await this.jobs.documents
      .find({ _id: { $in: ids } }, { projection: LISTED, batchSize: BATCH })
      .toArray();
    const byId = new Map(found.map((job) => [job._id.toHexString(), job]));
    for (const { report, resolve } of batch) {
      const job = byId.get(report.jobId);
      resolve(job && isTrueOf(report, job) ? job : null);
    }
  }
}

/** Whether the job is as the report has it: by this report, or by the same one before. */
export function isTrueOf(
  { event, agentId, hash }: Omit<Report, 'change' | 'content'>,
  job: ListedJobDocument,
): boolean {
  if (event === 'complete' || event === 'fail') return job.ended?.hash === hash && job.ended.event === event;
  return job.state === 'running' && job.lease?.agentId === agentId && job.lease.hash === hash;
}

function heldBy(agentId: string, hash: string, event: JobEvent) {
  return { 'lease.agentId': agentId, 'lease.hash': hash, state: { $in: [...statesBefore(event)] } };
}
