import type { Subsystem, SubsystemDirectory } from '../registry/subsystem-directory.js';
import type { Feed, SubsystemFailure } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';
import { selectSubsystems } from '../routing/subsystem-selection.js';
import type { RunChange } from './run-change.js';
import type { SharedRunFeeds, RunSubscription } from './shared-run-feeds.js';
import type { RunTest, RunWatch, RunWatchFilter } from './run-watch-filter.js';
import { type QueueLimits, WatcherQueue } from './watcher-queue.js';

/** Of one watcher. */
const LIMITS: QueueLimits = { maxChanges: 1_000, maxBytes: 4 * 1024 * 1024 };
/** For each subsystem, of one who wants to be told all runs first: they come faster than anybody reads. */
const SNAPSHOT_LIMITS: QueueLimits = { maxChanges: 10_000, maxBytes: 32 * 1024 * 1024 };

export interface RunFanInOptions {
  readonly caller: Pick<Caller, 'principal' | 'signal' | 'gatewayPath'>;
  readonly watch: RunWatch;
  readonly withSnapshot: boolean;
  readonly filter: RunWatchFilter;
}

interface Part extends RunSubscription {
  readonly domainIds: string;
}

/** The runs of all subsystems that one watcher chooses, of those too that register later. */
export class RunFanIn implements Feed<RunChange> {
  private readonly parts = new Map<Subsystem, Part>();
  private readonly queue: WatcherQueue;
  private readonly stopListening: () => void;

  constructor(
    private readonly options: RunFanInOptions,
    private readonly directory: SubsystemDirectory,
    private readonly feeds: SharedRunFeeds,
  ) {
    const { signal } = options.caller;
    const onAbort = (): void => this.queue.end();
    this.queue = new WatcherQueue(
      () => this.limits,
      () => {
        signal.removeEventListener('abort', onAbort);
        this.leaveAll();
      },
    );
    this.stopListening = directory.onChange(({ kind, subsystem }) => {
      if (kind === 'removed' || !this.parts.has(subsystem)) this.select();
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else this.select();
  }

  /** Those whose runs are watched, in whatever state. */
  get subsystems(): readonly Subsystem[] {
    return [...this.parts.keys()];
  }

  get failures(): readonly SubsystemFailure[] {
    return [...this.parts].flatMap(([{ id: subsystemId }, { feed }]) => {
      const reason = feed.missing;
      return reason === undefined ? [] : [{ subsystemId, reason }];
    });
  }

  get polled(): readonly string[] {
    return [...this.parts].filter(([, { feed }]) => feed.isPolled).map(([{ id }]) => id);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<RunChange, undefined> {
    return this.queue;
  }

  /** Those that have joined or left, or of which other runs are watched now. */
  private select(): void {
    const { caller, watch, filter } = this.options;
    const selected = selectSubsystems(this.directory.list(caller.principal), watch.subsystemIds);
    const gone = new Set(this.parts.keys());
    for (const { subsystem, domainIds } of selected) {
      const part = this.parts.get(subsystem);
      const wanted = JSON.stringify(domainIds);
      if (part?.domainIds === wanted) {
        gone.delete(subsystem);
        continue;
      }
      const test = filter.testFor(subsystem, domainIds);
      if (!test) continue;
      gone.delete(subsystem);
      this.parts.set(subsystem, { ...this.join(subsystem, test), domainIds: wanted });
      part?.leave();
    }
    for (const subsystem of gone) {
      this.parts.get(subsystem)?.leave();
      this.parts.delete(subsystem);
    }
  }

  private join(subsystem: Subsystem, test: RunTest): RunSubscription {
    const { caller, withSnapshot } = this.options;
    const { gatewayPath } = caller;
    const listener = (change: RunChange): void => {
      if (test(change.run)) this.queue.push(change);
    };
    const part = this.feeds.join(subsystem, listener, { withSnapshot, gatewayPath });
    if (withSnapshot) this.queue.addSnapshot(matching(part.feed.snapshot(), test));
    return part;
  }

  private leaveAll(): void {
    this.stopListening();
    for (const { leave } of this.parts.values()) leave();
    this.parts.clear();
  }

  private get limits(): QueueLimits {
    if (!this.options.withSnapshot) return LIMITS;
    const { size } = this.parts;
    return { maxChanges: SNAPSHOT_LIMITS.maxChanges * size, maxBytes: SNAPSHOT_LIMITS.maxBytes * size };
  }
}

function* matching(snapshot: Iterable<RunChange>, test: RunTest): Generator<RunChange> {
  for (const change of snapshot) if (test(change.run)) yield change;
}
