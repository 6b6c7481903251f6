import { findKind } from '../kubernetes/kinds.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import type { DesiredWatch } from './desired-watches.js';
import { ClusterRecovery } from './reflector/cluster-recovery.js';
import { ListGate } from './reflector/list-gate.js';
import { ObjectIndex } from './reflector/object-index.js';
import { Reflector, type ReflectorSink, type ReflectorTiming } from './reflector/reflector.js';
import type { ReflectorStatus } from './reflector/reflector-status.js';
import type { WatchSource } from './reflector/watch-source.js';
import type { Freshness } from './resource.js';
import { WatchCoverage } from './watch-coverage.js';
import { type SlimObject, slimObject } from './status/slim-object.js';

/** What one namespace of a kind looks like through its watch. */
export interface NamespaceView {
  readonly freshness: Freshness;
  /** The rights do not let us see the kind there. */
  readonly forbidden: boolean;
  /** Of the last list, event or bookmark: the index is the state at this version. Null before the first list. */
  readonly resourceVersion: string | null;
  /** Epoch milliseconds at which the last list began. */
  readonly listedSince: number | null;
}

/** What `ClusterWatches` tells, synchronously and in order. */
export interface ClusterWatchesListener {
  /** Objects that came, changed or went. */
  touched(objects: readonly SlimObject[]): void;
  /** A complete list of these namespaces has been taken in. */
  listed(kind: string, namespaces: ReadonlySet<string>): void;
  /** State or freshness of the watch of these namespaces has changed. */
  statusChanged(kind: string, namespaces: ReadonlySet<string>): void;
}

export interface ClusterWatchesOptions {
  readonly source: WatchSource;
  readonly listener: ClusterWatchesListener;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: ReflectorTiming;
  readonly probePeriodMs: number;
  readonly listsInFlight: number;
}

/** A running watch as `GET /watchers` shows it. */
export interface RunningWatch extends ReflectorStatus {
  readonly kind: string;
  readonly namespace: string | null;
  readonly namespaces: readonly string[];
}

interface Entry {
  readonly kind: string;
  readonly namespace: string | null;
  namespaces: ReadonlySet<string>;
  readonly reflector: Reflector<SlimObject>;
  resourceVersion: string | null;
  listedSince: number | null;
}

/** The running watches of one cluster and what they see. */
export class ClusterWatches {
  readonly index = new ObjectIndex<SlimObject>();
  private readonly entries = new Set<Entry>();
  private readonly coverage = new WatchCoverage<Entry>();
  private readonly stopping = new Set<Promise<void>>();
  private readonly recovery: ClusterRecovery;
  private readonly listGate: ListGate;
  private stopped = false;

  constructor(private readonly options: ClusterWatchesOptions) {
    const { clock, probePeriodMs, source, listsInFlight } = options;
    this.recovery = new ClusterRecovery({ clock, probePeriodMs, probe: (signal) => source.probe(signal) });
    this.listGate = new ListGate(listsInFlight);
  }

  /** The view of a kind in a namespace, through the freshest watch that covers it; undefined when none does. */
  view(kind: string, namespace: string): NamespaceView | undefined {
    const covering = this.coverage.of(kind, namespace);
    const entry =
      covering.find(({ reflector }) => reflector.status.freshness === 'live') ??
      covering.find(({ resourceVersion }) => resourceVersion !== null) ??
      covering[0];
    if (!entry) return undefined;
    const { freshness, state } = entry.reflector.status;
    const { resourceVersion, listedSince } = entry;
    return { freshness, forbidden: state === 'forbidden', resourceVersion, listedSince };
  }

  watches(): RunningWatch[] {
    return [...this.entries].map(({ kind, namespace, namespaces, reflector }) => ({
      kind,
      namespace,
      namespaces: [...namespaces].toSorted(),
      ...reflector.status,
    }));
  }

  /** How the watches stand that cover all of these namespaces, the cluster-wide ones apart. */
  standing(
    kind: string,
    namespaces: ReadonlySet<string>,
  ): { readonly wideForbidden: boolean; readonly overlap: boolean } {
    const covering = new Set([...namespaces].flatMap((namespace) => this.coverage.of(kind, namespace)));
    const wide = [...covering].filter(({ namespace }) => namespace === null);
    return {
      wideForbidden: wide.some(({ reflector }) => reflector.status.state === 'forbidden'),
      overlap: wide.length > 0 && covering.size > 1,
    };
  }

  /**
   * Starts what is missing and stops what is not wanted any more. A watch that another one replaces goes on until that
   * one is live, so that nothing goes unseen in between; the caller asks again when a status has changed.
   */
  reconcile(desired: readonly DesiredWatch[]): void {
    if (this.stopped) return;
    const wanted = new Set(desired.map((watch) => this.entryFor(watch)));
    for (const entry of this.entries) {
      if (!wanted.has(entry) && this.isReplaced(entry, desired, wanted)) this.end(entry);
    }
  }

  /** Tries every waiting watch again at once: rights or credentials have changed. */
  retryNow(): void {
    for (const { reflector } of this.entries) reflector.retryNow();
  }

  /** Resolves when every watch of the cluster has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const entry of this.entries) this.end(entry);
    await Promise.all([...this.stopping, this.recovery.stop()]);
  }

  private entryFor({ kind, namespace, namespaces }: DesiredWatch): Entry {
    const [first = ''] = namespaces;
    const running = this.coverage
      .of(kind, first)
      .find((entry) => entry.namespace === namespace && isSubset(namespaces, entry.namespaces));
    if (!running) return this.begin(kind, namespace, namespaces);
    this.leave(
      running,
      [...running.namespaces].filter((each) => !namespaces.has(each)),
    );
    running.namespaces = namespaces;
    return running;
  }

  private isReplaced(entry: Entry, desired: readonly DesiredWatch[], wanted: ReadonlySet<Entry>): boolean {
    const stillNeeded = desired
      .filter(({ kind }) => kind === entry.kind)
      .flatMap(({ namespaces }) => [...namespaces])
      .filter((namespace) => entry.namespaces.has(namespace));
    const isLive = entry.reflector.status.freshness === 'live';
    return stillNeeded.every((namespace) =>
      this.coverage
        .of(entry.kind, namespace)
        .some((other) => wanted.has(other) && (!isLive || other.reflector.status.freshness === 'live')),
    );
  }

  private begin(kind: string, namespace: string | null, namespaces: ReadonlySet<string>): Entry {
    const definition = findKind(kind);
    if (!definition) throw new Error(`${kind} is not a watched kind`);
    const { source, clock, random, timing } = this.options;
    const entry: Entry = {
      kind,
      namespace,
      namespaces,
      resourceVersion: null,
      listedSince: null,
      reflector: new Reflector<SlimObject>({
        target: { kind: definition, namespace },
        source,
        clock,
        random,
        timing,
        listGate: this.listGate,
        recovery: this.recovery,
        reduce: (object) => {
          const slim = slimObject(kind, object);
          return namespace !== null || slim.uid === '' || entry.namespaces.has(slim.namespace) ? slim : null;
        },
        sink: this.sinkOf(() => entry),
      }),
    };
    this.entries.add(entry);
    this.coverage.add(kind, namespaces, entry);
    entry.reflector.start();
    return entry;
  }

  private sinkOf(entryOf: () => Entry): ReflectorSink<SlimObject> {
    const { listener } = this.options;
    const whileRunning = (work: (entry: Entry) => void): void => {
      const entry = entryOf();
      if (this.entries.has(entry)) work(entry);
    };
    return {
      listed: (objects, resourceVersion, startedAt) =>
        whileRunning((entry) => {
          entry.resourceVersion = resourceVersion;
          entry.listedSince = startedAt;
          const touched = this.index.replace(entry.kind, (namespace) => entry.namespaces.has(namespace), objects);
          listener.touched(touched);
          listener.listed(entry.kind, entry.namespaces);
        }),
      changed: (object) =>
        whileRunning((entry) => {
          entry.resourceVersion = object.resourceVersion;
          listener.touched(this.index.put(object));
        }),
      removed: (object) =>
        whileRunning((entry) => {
          entry.resourceVersion = object.resourceVersion;
          listener.touched(this.index.remove(object));
        }),
      statusChanged: () => whileRunning((entry) => listener.statusChanged(entry.kind, entry.namespaces)),
    };
  }

  private end(entry: Entry): void {
    this.entries.delete(entry);
    this.leave(entry, entry.namespaces);
    const end = entry.reflector.stop().finally(() => this.stopping.delete(end));
    this.stopping.add(end);
  }

  private leave(entry: Entry, namespaces: Iterable<string>): void {
    const { kind } = entry;
    for (const namespace of this.coverage.remove(kind, namespaces, entry)) this.index.drop(kind, namespace);
  }
}

function isSubset(inner: ReadonlySet<string>, outer: ReadonlySet<string>): boolean {
  return [...inner].every((each) => outer.has(each));
}
