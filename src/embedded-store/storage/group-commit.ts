import { CommandError } from '../command-error.js';
import type { Database } from './database.js';

/** A unit of work whose outcome is told only when it is durable. */
export interface Job {
  readonly writes: boolean;
  /** Undefined: what was done is to be committed, and the rest is done by further calls in later turns. */
  readonly run: () => Uint8Array | undefined;
  readonly fail: (error: unknown) => Uint8Array;
  readonly done: (reply: Uint8Array) => void;
}

/** Jobs of one transaction; the next ones wait for the next turn, so that sockets are served in between. */
const MAX_BATCH = 256;

/**
 * Runs all jobs that came in during one turn of the event loop: first those that only read, answered at once, because they
 * see what is durable; then the others in one transaction, answered after the commit. A failing job is rolled back to its savepoint
 * and leaves the others as they are; a failing commit fails every job of the transaction.
 *
 * A job that is not finished goes on in a later turn; of these, one a turn, in rotation, so that a turn stays short however many there
 * are. If a later part fails the earlier ones stay. It goes on when its client has gone, as a write of MongoDB does.
 */
export class GroupCommit {
  private readonly database: Database;
  private queue: Job[] = [];
  private readonly unfinished: Job[] = [];
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
      if (this.flush()) this.schedule();
    });
  }

  /** Does one turn of work; whether there is more. */
  flush(): boolean {
    const jobs = this.queue.splice(0, MAX_BATCH);
    for (const job of jobs) if (!job.writes) this.settle(job, this.attempt(job));
    const writes = jobs.filter((job) => job.writes).concat(this.unfinished.splice(0, 1));
    if (writes.length === 0) return this.queue.length > 0;
    const replies = writes.map((job) => this.attempt(job));
    const failure = this.commit();
    for (const [i, job] of writes.entries()) this.settle(job, failure ? job.fail(failure) : replies[i]);
    return this.queue.length > 0 || this.unfinished.length > 0;
  }

  private settle(job: Job, reply: Uint8Array | undefined): void {
    if (reply) job.done(reply);
    else this.unfinished.push(job);
  }

  /** At a stop: gives every queued job its turn. One that needs more is told InterruptedAtShutdown (11600), so that a stop takes a bounded time. */
  drain(): void {
    while (this.queue.length > 0) this.flush();
    const interrupted = new CommandError(
      11600,
      'the store stops: what was written so far stays, the rest was not done',
    );
    for (const job of this.unfinished.splice(0)) job.done(job.fail(interrupted));
  }

  private attempt(job: Job): Uint8Array | undefined {
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
