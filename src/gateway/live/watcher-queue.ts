import { Code, ConnectError } from '@connectrpc/connect';
import type { RunChange } from './run-change.js';

export interface QueueLimits {
  readonly maxChanges: number;
  readonly maxBytes: number;
}

/** Part of a full queue that leaving out superseded states must free, so that it is not done for each change. */
const ROOM = 0.25;
const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * What waits for one watcher. When it is full, states that a later one supersedes are left out; when that does not help,
 * it is over: a watcher is never left with less than it believes to have.
 */
export class WatcherQueue implements AsyncIterableIterator<RunChange, undefined> {
  private readonly snapshots: Iterator<RunChange>[] = [];
  private changes: RunChange[] = [];
  private head = 0;
  private bytes = 0;
  private outcome: { readonly error?: Error } | undefined;
  private reader: PromiseWithResolvers<IteratorResult<RunChange, undefined>> | undefined;

  /** @param limits Asked when a change comes. */
  constructor(
    private readonly limits: () => QueueLimits,
    private readonly onOver: () => void,
  ) {}

  /** Changes that wait. */
  get length(): number {
    return this.changes.length - this.head;
  }

  /** Read before all changes that come from now on, as the watcher takes it. */
  addSnapshot(snapshot: Iterator<RunChange>): void {
    if (this.outcome) return;
    this.snapshots.push(snapshot);
    this.wake();
  }

  push(change: RunChange): void {
    if (this.outcome) return;
    if (this.reader && this.length === 0 && this.snapshots.length === 0) {
      const { resolve } = this.reader;
      this.reader = undefined;
      resolve({ done: false, value: change });
      return;
    }
    this.changes.push(change);
    this.bytes += change.run.bytes.length;
    this.bound();
    this.wake();
  }

  /** Ends it, with an error or cleanly. What waits is given up. */
  end(error?: Error): void {
    if (this.outcome) return;
    this.outcome = error ? { error } : {};
    this.changes = [];
    this.snapshots.length = 0;
    this.head = 0;
    this.bytes = 0;
    this.onOver();
    this.wake();
  }

  next(): Promise<IteratorResult<RunChange, undefined>> {
    const change = this.take();
    if (change) return Promise.resolve({ done: false, value: change });
    if (this.outcome?.error) {
      const { error } = this.outcome;
      this.outcome = {};
      return Promise.reject(error);
    }
    if (this.outcome) return Promise.resolve(DONE);
    this.reader ??= Promise.withResolvers();
    return this.reader.promise;
  }

  return(): Promise<IteratorResult<RunChange, undefined>> {
    this.end();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private wake(): void {
    const { reader } = this;
    if (!reader) return;
    this.reader = undefined;
    const change = this.take();
    if (change) reader.resolve({ done: false, value: change });
    else if (this.outcome?.error) {
      reader.reject(this.outcome.error);
      this.outcome = {};
    } else if (this.outcome) reader.resolve(DONE);
    else this.reader = reader;
  }

  private take(): RunChange | undefined {
    while (this.snapshots.length > 0) {
      const next = this.snapshots[0]?.next();
      if (next && !next.done) return next.value;
      this.snapshots.shift();
    }
    const change = this.changes[this.head];
    if (!change) return undefined;
    this.head += 1;
    this.bytes -= change.run.bytes.length;
    if (this.head > 64 && this.head * 2 > this.changes.length) {
      this.changes = this.changes.slice(this.head);
      this.head = 0;
    }
    return change;
  }

  private bound(): void {
    const { maxChanges, maxBytes } = this.limits();
    if (this.length <= maxChanges && this.bytes <= maxBytes) return;
    this.leaveOutSuperseded();
    if (this.length <= maxChanges * (1 - ROOM) && this.bytes <= maxBytes * (1 - ROOM)) return;
    const message = `more than ${maxChanges} changes or ${maxBytes} bytes wait to be read: watch again, and read faster`;
    this.end(new ConnectError(message, Code.ResourceExhausted));
  }

  private leaveOutSuperseded(): void {
    const seen = new Map<RunChange['subsystem'], Set<string>>();
    const kept: RunChange[] = [];
    for (let index = this.changes.length - 1; index >= this.head; index -= 1) {
      const change = this.changes[index] as RunChange;
      const ofSubsystem = seen.get(change.subsystem) ?? new Set<string>();
      seen.set(change.subsystem, ofSubsystem);
      if (change.maySupersede && ofSubsystem.has(change.run.id)) this.bytes -= change.run.bytes.length;
      else kept.push(change);
      ofSubsystem.add(change.run.id);
    }
    this.changes = kept.reverse();
    this.head = 0;
  }
}
