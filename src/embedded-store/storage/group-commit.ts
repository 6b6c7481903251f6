import { CommandError } from '../command-error.js';
import type { Database } from './database.js';

/** A unit of work whose outcome is told only when it is durable. */
export interface Job {
  readonly writes: boolean;
  readonly run: () => Uint8Array;
  readonly fail: (error: unknown) => Uint8Array;
  readonly done: (reply: Uint8Array) => void;
}

/** Jobs of one transaction; the next ones wait for the next turn, so that sockets are served in between. */
const MAX_BATCH = 256;

/**
 * Runs all jobs that came in during one turn of the event loop: first those that only read, answered at once, because they
 * see what is durable; then the others in one transaction, answered after the commit. A failing job is rolled back to its savepoint
 * and leaves the others as they are; a failing commit fails every job of the transaction.
 */
export class GroupCommit {
  private readonly database: Database;
  private queue: Job[] = [];
  private isScheduled = false;

  constructor(database: Database) {
    this.database = database;
  }

  submit(job: Job): void {
    this.queue.push(job);
    this.schedule();
  }

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setImmediate(() => {
      this.isScheduled = false;
      this.flush();
      if (this.queue.length > 0) this.schedule();
    });
  }

  /** Runs what is queued now; at a stop, until nothing is left. */
  flush(): void {
    const jobs = this.queue.splice(0, MAX_BATCH);
    if (jobs.length === 0) return;
    for (const job of jobs) if (!job.writes) job.done(this.attempt(job));
    const writes = jobs.filter((job) => job.writes);
    const replies = writes.map((job) => this.attempt(job));
    const failure = this.commit();
    for (const [i, job] of writes.entries()) job.done(failure ? job.fail(failure) : (replies[i] as Uint8Array));
  }

  drain(): void {
    while (this.queue.length > 0) this.flush();
  }

  private attempt(job: Job): Uint8Array {
    if (!job.writes) {
      try {
        return job.run();
      } catch (error) {
        return job.fail(error);
      }
    }
    try {
      if (!this.database.isInTransaction) this.database.statement('BEGIN IMMEDIATE').run();
      this.database.statement('SAVEPOINT job').run();
      const reply = job.run();
      this.database.statement('RELEASE job').run();
      return reply;
    } catch (error) {
      this.undo();
      return job.fail(error);
    }
  }

  private undo(): void {
    // SQLite ends the whole transaction by itself on a full disk; `commit` then finds none and fails the batch.
    if (this.database.isInTransaction) this.database.exec('ROLLBACK TO job; RELEASE job');
    else this.isBroken = true;
    this.database.load();
  }

  private isBroken = false;

  private commit(): Error | undefined {
    if (this.isBroken) {
      this.isBroken = false;
      if (this.database.isInTransaction) this.database.exec('ROLLBACK');
      this.database.load();
      return new CommandError(1, 'the embedded store could not write to its file: is the disk full?');
    }
    if (!this.database.isInTransaction) return undefined;
    try {
      this.database.statement('COMMIT').run();
      return undefined;
    } catch (error) {
      if (this.database.isInTransaction) this.database.exec('ROLLBACK');
      this.database.load();
      return error as Error;
    }
  }
}
