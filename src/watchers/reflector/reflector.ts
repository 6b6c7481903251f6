import type { Clock, Timer } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import { StopReason } from '../../runtime/stop-reason.js';
import type { ClusterRecovery } from './cluster-recovery.js';
import type { ListGate } from './list-gate.js';
import { listPages } from './list-pages.js';
import type { ReflectorStatus, WatchProblem } from './reflector-status.js';
import { RetryWait } from './retry-wait.js';
import { type WatchFailure, ShortWatch, UnreadableObject, classifyFailure } from './watch-failure.js';
import { type RetryTiming, WatchRetry } from './watch-retry.js';
import type { WatchEvent, WatchSource, WatchTarget } from './watch-source.js';

/** What a reflector needs to know of an object; nothing else of it is kept. */
export interface Identified {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
}

/** Where a reflector tells what it sees. Called in order, never concurrently, and must not throw. */
export interface ReflectorSink<T extends Identified> {
  /** The complete state at `resourceVersion`: what is not in it is gone. */
  listed(objects: readonly T[], resourceVersion: string, startedAt: number): void;
  changed(object: T): void;
  /** The object's last state, with the resource version of its deletion. */
  removed(object: T): void;
  /** State or freshness of the reflector has changed. */
  statusChanged(): void;
}

export interface ReflectorTiming extends RetryTiming {
  readonly listPageSize: number;
  /** Shortest `timeoutSeconds` of a watch; the longest is twice that. */
  readonly watchTimeoutMs: number;
}

export interface ReflectorOptions<T extends Identified> {
  readonly target: WatchTarget;
  readonly source: WatchSource;
  readonly sink: ReflectorSink<T>;
  /** Reduces an object at once; null leaves it out. */
  readonly reduce: (object: unknown) => T | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly listGate: ListGate;
  readonly recovery: ClusterRecovery;
  readonly timing: ReflectorTiming;
}

const SHORT_WATCH_MS = 1_000;
const CATCH_UP_MS = 200;
/** Cuts in a row without a single event after which the version itself is suspected: an unreadable line comes again. */
const MAX_FRUITLESS_CUTS = 2;

/**
 * Keeps a complete and current picture of one kind in one or all namespaces: list, then watch from the list's resource
 * version, for ever. Never gives up, never skips what it cannot read, and tells how fresh its picture is.
 */
export class Reflector<T extends Identified> {
  private readonly retry: WatchRetry;
  private readonly pause: RetryWait;
  private readonly abort = new AbortController();
  private loop: Promise<void> | undefined;
  private current: ReflectorStatus = {
    state: 'listing',
    freshness: 'syncing',
    lastEventAt: null,
    restarts: 0,
    error: null,
  };
  /** Where to watch from; null: list first. */
  private resourceVersion: string | null = null;
  private watchOpenedAt: number | null = null;
  /** When the first watch since the last failure was opened. */
  private healthySince: number | null = null;
  private watchEvents = 0;
  private justListed = false;
  private fruitlessCuts = 0;

  constructor(private readonly options: ReflectorOptions<T>) {
    this.retry = new WatchRetry(options.timing, options.random);
    this.pause = new RetryWait(options.clock, options.recovery);
  }

  get target(): WatchTarget {
    return this.options.target;
  }

  get status(): ReflectorStatus {
    return this.current;
  }

  start(): void {
    this.loop ??= this.run(this.abort.signal);
  }

  /** Resolves when its list or watch has ended and no timer of it is left. */
  async stop(): Promise<void> {
    this.abort.abort(new StopReason(`watch of ${this.target.kind.plural}`));
    await this.loop;
    this.show({ state: 'stopped' });
  }

  /** Tries again at once if it waits: rights or credentials have changed. */
  retryNow(): void {
    this.retry.reset();
    this.pause.end();
  }

  private async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.resourceVersion === null) await this.options.listGate.run(() => this.list(signal), signal);
        await this.watch(signal);
      } catch (error) {
        if (signal.aborted) return;
        await this.recover(error, signal);
      }
    }
  }

  private async list(signal: AbortSignal): Promise<void> {
    const { clock, sink, source, target, timing } = this.options;
    this.show({ state: 'listing' });
    const startedAt = clock.now();
    const read = (object: unknown): T | null => this.read(object);
    const listed = await listPages({ source, target, pageSize: timing.listPageSize, read, signal });
    signal.throwIfAborted();
    this.resourceVersion = listed.resourceVersion;
    this.justListed = true;
    this.fruitlessCuts = 0;
    this.current = { ...this.current, lastEventAt: clock.now() };
    sink.listed(listed.objects, listed.resourceVersion, startedAt);
  }

  private async watch(signal: AbortSignal): Promise<void> {
    const { clock, random, source, timing } = this.options;
    const resourceVersion = this.resourceVersion;
    if (resourceVersion === null) throw new Error('a watch needs the resource version of a list');
    this.watchOpenedAt = null;
    this.watchEvents = 0;
    const timeoutSeconds = Math.round((timing.watchTimeoutMs * (1 + random.float())) / 1000);
    const events = await source.watch(this.target, { resourceVersion, timeoutSeconds, signal });
    this.watchOpenedAt = clock.monotonic();
    this.healthySince ??= this.watchOpenedAt;
    this.retry.allowed();
    const catchUp = this.opened();
    try {
      for await (const event of events) {
        if (signal.aborted) return;
        this.take(event);
      }
    } finally {
      catchUp?.cancel();
    }
    if (this.watchEvents === 0 && clock.monotonic() - this.watchOpenedAt < SHORT_WATCH_MS) throw new ShortWatch();
  }

  /**
   * After a list the picture is complete. A watch that resumes after an outage first brings what was missed, and nothing
   * says when that is through: it gets a moment, or old states would be told as live.
   */
  private opened(): Timer | undefined {
    const isComplete = this.justListed || this.current.freshness === 'live';
    this.justListed = false;
    this.show({ state: 'watching', error: null, ...(isComplete ? { freshness: 'live' } : {}) });
    return isComplete ? undefined : this.options.clock.after(CATCH_UP_MS, () => this.show({ freshness: 'live' }));
  }

  private take(event: WatchEvent): void {
    const { clock, sink } = this.options;
    if (event.type === 'ERROR') throw event.error;
    if (event.type === 'BOOKMARK') {
      this.resourceVersion = event.resourceVersion;
    } else {
      const object = this.read(event.object);
      if (object) {
        if (event.type === 'DELETED') sink.removed(object);
        else sink.changed(object);
      }
      this.resourceVersion = object?.resourceVersion ?? versionOf(event.object) ?? this.resourceVersion;
    }
    this.watchEvents += 1;
    this.fruitlessCuts = 0;
    this.current = { ...this.current, lastEventAt: clock.now() };
  }

  private read(object: unknown): T | null {
    const reduced = this.options.reduce(object);
    if (reduced && (reduced.uid === '' || reduced.name === '' || reduced.resourceVersion === '')) {
      throw new UnreadableObject(this.target.kind.kind);
    }
    return reduced;
  }

  /** Decides what follows a failure, tells it, and waits as long as it takes. */
  private async recover(error: unknown, signal: AbortSignal): Promise<void> {
    const failure = classifyFailure(error);
    const verb = this.resourceVersion === null ? 'list' : 'watch';
    const problem: WatchProblem = {
      verb,
      resource: this.target.kind.plural,
      namespace: this.target.namespace,
      message: failure.message,
    };
    const { healthySince, options } = this;
    const healthyMs = healthySince === null ? 0 : options.clock.monotonic() - healthySince;
    this.healthySince = null;
    if (this.mustRelist(failure)) this.resourceVersion = null;

    const { delayMs, isFirst, untilBack } = this.retry.plan(failure, healthyMs);
    const state = failure.remedy === 'forbidden' || failure.remedy === 'unauthorized' ? failure.remedy : 'waiting';
    this.show({
      state,
      freshness: isFirst ? this.current.freshness : 'stale',
      restarts: this.current.restarts + 1,
      error: problem,
    });
    const onBack = untilBack ? (): void => this.retry.woken() : undefined;
    await this.pause.wait({ delayMs, onBack, signal });
  }

  private mustRelist(failure: WatchFailure): boolean {
    const openedInVain = this.watchOpenedAt !== null && this.watchEvents === 0;
    if (failure.remedy === 'resume' && openedInVain) this.fruitlessCuts += 1;
    this.watchOpenedAt = null;
    return failure.remedy !== 'resume' || this.fruitlessCuts >= MAX_FRUITLESS_CUTS;
  }

  private show(change: Partial<ReflectorStatus>): void {
    const before = this.current;
    this.current = { ...before, ...change };
    const { state, freshness, error } = this.current;
    if (state !== before.state || freshness !== before.freshness || error !== before.error) {
      this.options.sink.statusChanged();
    }
  }
}

/** Of an object that is left out: the watch has passed it all the same. */
function versionOf(object: unknown): string | undefined {
  const { metadata } = object as { metadata?: { resourceVersion?: unknown } };
  return typeof metadata?.resourceVersion === 'string' ? metadata.resourceVersion : undefined;
}
