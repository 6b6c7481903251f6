import { Inject, Injectable, Logger } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../auth/principal.js';
import { EventBus, type Subscription } from '../realtime/index.js';
import { Backoff } from '../runtime/backoff.js';
import { PeriodicTasks } from '../lifecycle/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { PeriodicTask } from '../runtime/periodic-task.js';
import { RANDOM, type Random } from '../runtime/random.js';
import type { Runnable } from '../runtime/runnable.js';
import { StopReason, isStop } from '../runtime/stop-reason.js';
import { ClusterWatches, type RunningWatch } from './cluster-watches.js';
import { type DesiredWatch, type WatchedPlace, desiredWatches } from './desired-watches.js';
import type { ReflectorTiming } from './reflector/reflector.js';
import { statusDependencies } from './status/extract-status.js';
import { StatusTracker } from './status-tracker.js';
import { FreshnessWriter } from './tracking/freshness-writer.js';
import { ResourcesRepository } from './tracking/resources.repository.js';
import { StatusWriter } from './tracking/status-writer.js';
import { TrackedResources } from './tracking/tracked-resources.js';
import { WATCH_SOURCES, type WatchSources } from './watch-sources.js';
import { WatchedClusters } from './watched-clusters.js';
import { type WatchersConfig, watchersConfig } from './watchers.config.js';

const FIRST_RETRY_MS = 1_000;

/**
 * Keeps what runs equal to what should run. What should run is derived from the stored resources, again and again: a
 * watch that failed to start, or that nobody wants any more, is found by the next round whatever happened before.
 */
@Injectable()
export class WatcherManager implements Runnable {
  readonly name = 'watchers';
  private readonly log = new Logger(WatcherManager.name);
  private readonly timing: ReflectorTiming;
  private readonly backoff: Backoff;
  private readonly resync: PeriodicTask;
  private readonly limits = new Map<string, readonly string[] | null | undefined>();
  private readonly wideRefused = new Set<string>();
  private readonly ending = new Set<Promise<void>>();
  private abort: AbortController | undefined;
  private running = false;
  private loop: Promise<void> | undefined;
  private requested = false;
  private reloadWanted = false;
  private subscription: Subscription | undefined;

  constructor(
    private readonly resources: ResourcesRepository,
    private readonly tracked: TrackedResources,
    private readonly clusters: WatchedClusters,
    private readonly tracker: StatusTracker,
    private readonly statuses: StatusWriter,
    private readonly freshness: FreshnessWriter,
    private readonly bus: EventBus,
    @Inject(WATCH_SOURCES) private readonly sources: WatchSources,
    @Inject(watchersConfig.token) private readonly config: WatchersConfig,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
    tasks: PeriodicTasks,
  ) {
    this.timing = { ...config, firstRetryMs: FIRST_RETRY_MS };
    this.backoff = new Backoff({ baseMs: 500, maxMs: 30_000 }, random);
    this.resync = tasks.create({
      name: 'watcher resync',
      periodMs: config.resyncPeriodMs,
      runOnce: async () => this.requestReload(),
      onError: (error) => this.log.error({ message: 'the resync of watchers failed', error }),
    });
  }

  async start(): Promise<void> {
    if (this.abort) return;
    this.abort = new AbortController();
    // It misses nothing by coming after the start of the bus, for it now reads everything.
    this.subscription = this.bus.subscribe(
      'watchers',
      ['cluster.changed'],
      ({ payload }) => this.clusterChanged(payload.clusterId, payload.change),
      { lateByDesign: true },
    );
    this.requestReload();
    await this.loop;
    await this.resync.start();
  }

  /** Ends every watch; resolves when all are gone and what they saw is stored, or the deadline is over. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.abort ??= new AbortController();
    this.abort.abort(new StopReason(this.name));
    this.subscription?.unsubscribe();
    await this.resync.stop();
    await this.loop;
    this.tracker.stop();
    const writers = [this.freshness.stop(), this.statuses.stop(deadline)];
    for (const [clusterId] of this.clusters.entries()) this.endCluster(clusterId);
    await Promise.all([...writers, ...this.ending]);
  }

  /** Has what runs compared with what should run, soon. Never fails: a round that does is tried again. */
  requestReconcile(): void {
    if (!this.abort || this.abort.signal.aborted) return;
    this.requested = true;
    if (this.running) return;
    this.running = true;
    this.loop = this.run(this.abort.signal);
  }

  /** All running watches, with the id of their cluster. */
  watches(): Array<RunningWatch & { readonly clusterId: string }> {
    return [...this.clusters.entries()].flatMap(([clusterId, watches]) =>
      watches.watches().map((watch) => ({ clusterId, ...watch })),
    );
  }

  private requestReload(): void {
    this.reloadWanted = true;
    this.limits.clear();
    this.requestReconcile();
  }

  private clusterChanged(clusterId: string, change: 'created' | 'updated' | 'deleted'): void {
    for (const key of this.wideRefused) if (key.startsWith(`${clusterId}/`)) this.wideRefused.delete(key);
    if (change === 'updated') this.clusters.get(clusterId)?.retryNow();
    this.requestReload();
  }

  private async run(signal: AbortSignal): Promise<void> {
    while (this.requested && !signal.aborted) {
      this.requested = false;
      try {
        await this.reconcile();
        this.backoff.reset();
      } catch (error) {
        this.requested = true;
        const delayMs = this.backoff.next();
        this.log.warn({ message: 'watchers could not be reconciled; trying again', delayMs, error: String(error) });
        await this.clock.sleep(delayMs, signal).catch((reason: unknown) => {
          if (!isStop(reason)) throw reason;
        });
      }
    }
    this.running = false;
  }

  private async reconcile(): Promise<void> {
    if (this.reloadWanted) {
      await this.tracked.reload(() => this.resources.findWatched(SYSTEM_SCOPE));
      this.reloadWanted = false;
    }
    const places = [...this.tracked.all()].map(({ document }) => placeOf(document));
    for (const clusterId of new Set(places.map((place) => place.clusterId))) {
      if (!this.limits.has(clusterId)) this.limits.set(clusterId, await this.sources.namespacesOf(clusterId));
    }
    if (this.abort?.signal.aborted) return;
    this.apply(this.desired());
    this.tracker.prune();
  }

  private desired(): ReadonlyMap<string, readonly DesiredWatch[]> {
    const places = [...this.tracked.all()].map(({ document }) => placeOf(document));
    return desiredWatches(places, {
      dependencies: statusDependencies,
      limitOf: (clusterId) => this.limits.get(clusterId),
      wideRefused: (clusterId, kind) => this.wideRefused.has(`${clusterId}/${kind}`),
      wideFrom: this.config.wideFrom,
    });
  }

  private apply(desired: ReadonlyMap<string, readonly DesiredWatch[]>): void {
    for (const [clusterId, watches] of desired)
      (this.clusters.get(clusterId) ?? this.begin(clusterId)).reconcile(watches);
    for (const [clusterId] of this.clusters.entries()) if (!desired.has(clusterId)) this.endCluster(clusterId);
    // Resources outside of every watch (their cluster is gone, or limited to other namespaces) must not look live.
    for (const place of this.tracked.sets()) this.freshness.mark(place);
  }

  private begin(clusterId: string): ClusterWatches {
    const listener = this.tracker.listenerFor(clusterId);
    const watches: ClusterWatches = new ClusterWatches({
      source: this.sources.sourceOf(clusterId),
      clock: this.clock,
      random: this.random,
      timing: this.timing,
      probePeriodMs: this.config.probePeriodMs,
      listsInFlight: this.config.listsInFlight,
      listener: {
        ...listener,
        statusChanged: (kind, namespaces) => {
          listener.statusChanged(kind, namespaces);
          this.watchChanged(clusterId, kind, watches.standing(kind, namespaces));
        },
      },
    });
    this.clusters.set(clusterId, watches);
    return watches;
  }

  /** Another watch may have become live that replaces one, or the rights may have refused a cluster-wide one. */
  private watchChanged(clusterId: string, kind: string, standing: ReturnType<ClusterWatches['standing']>): void {
    if (standing.wideForbidden) this.wideRefused.add(`${clusterId}/${kind}`);
    if (standing.wideForbidden || standing.overlap) this.requestReconcile();
  }

  private endCluster(clusterId: string): void {
    const end = this.clusters
      .get(clusterId)
      ?.stop()
      .finally(() => this.ending.delete(end as Promise<void>));
    this.clusters.delete(clusterId);
    if (end) this.ending.add(end);
  }
}

function placeOf({
  clusterId,
  kind,
  namespace,
}: {
  readonly clusterId: { toString(): string };
  readonly kind: string;
  readonly namespace: string;
}): WatchedPlace {
  return { clusterId: clusterId.toString(), kind, namespace };
}
