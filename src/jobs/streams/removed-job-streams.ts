import { Inject, Injectable, Logger } from '@nestjs/common';
import { PeriodicTasks } from '../../lifecycle/index.js';
import { EventBus, SseBroadcaster } from '../../realtime/index.js';
import type { PeriodicTask } from '../../runtime/periodic-task.js';
import type { Runnable } from '../../runtime/runnable.js';
import type { Job } from '../job.js';
import { JobsRepository } from '../jobs.repository.js';
import { SLICE } from '../sweeps/sweep.js';

const PERIOD_MS = 60_000;

interface WatchedJob {
  /** Tenants whose clients read it. */
  readers: number;
  /** Unknown until it has been read. */
  tenantId: string | undefined;
}

/**
 * Ends the streams of jobs that are there no more. The database itself removes finished jobs when their time is over, and
 * tells nobody; so every replica looks once a minute for those that somebody watches at it, and for no others.
 */
@Injectable()
export class RemovedJobStreams implements Runnable {
  readonly name = 'streams of removed jobs';
  private readonly log = new Logger(RemovedJobStreams.name);
  private readonly watched = new Map<string, WatchedJob>();
  private readonly task: PeriodicTask;

  constructor(
    private readonly jobs: JobsRepository,
    @Inject(SseBroadcaster) private readonly broadcaster: Pick<SseBroadcaster, 'publish' | 'retire'>,
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'subscribe'>,
    tasks: PeriodicTasks,
  ) {
    this.task = tasks.create({
      name: this.name,
      periodMs: PERIOD_MS,
      runOnce: (signal) => this.look(signal),
      onError: (error) => this.log.error({ message: 'jobs that are watched could not be looked for', error }),
    });
  }

  /** Before the service starts. */
  register(): void {
    this.bus.subscribe('streams of jobs of deleted tenants', ['tenant.changed'], ({ payload: { tenant, change } }) => {
      if (change !== 'deleted') return;
      for (const [id, { tenantId }] of this.watched) if (tenantId === tenant.name) this.end(id, tenantId);
    });
  }

  /** A tenant's clients read the job from now on. */
  warmed(id: string): void {
    const job = this.watched.get(id);
    if (job) job.readers += 1;
    else this.watched.set(id, { readers: 1, tenantId: undefined });
  }

  /** None of them does any more. */
  cooled(id: string): void {
    const job = this.watched.get(id);
    if (!job) return;
    job.readers -= 1;
    if (job.readers === 0) this.watched.delete(id);
  }

  /** The job was read for one that is being watched. */
  seen({ id, tenantId }: Pick<Job, 'id' | 'tenantId'>): void {
    const job = this.watched.get(id);
    if (job) job.tenantId = tenantId;
  }

  start(): Promise<void> {
    return this.task.start();
  }

  stop(): Promise<void> {
    return this.task.stop();
  }

  private async look(signal: AbortSignal): Promise<void> {
    const ids = [...this.watched.keys()];
    for (let from = 0; from < ids.length; from += SLICE) {
      const slice = ids.slice(from, from + SLICE);
      const stored = await this.jobs.existing(slice);
      signal.throwIfAborted();
      for (const id of slice) if (!stored.has(id)) this.end(id, this.watched.get(id)?.tenantId);
    }
  }

  private end(id: string, tenantId: string | undefined): void {
    const streamKey = `job:${id}`;
    if (tenantId !== undefined) {
      const data = { id, tenantId, deleted: true };
      const item = { eventType: 'job_update', entity: streamKey, version: Number.MAX_SAFE_INTEGER, data } as const;
      this.broadcaster.publish(streamKey, tenantId, item);
    }
    this.broadcaster.retire(streamKey);
    this.watched.delete(id);
  }
}
