import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock, type Timer } from '../runtime/clock.js';
import type { ClusterWatches, ClusterWatchesListener, NamespaceView } from './cluster-watches.js';
import { KINDS } from '../kubernetes/index.js';
import type { ResourceStatus } from './resource.js';
import {
  type ExtractContext,
  type SlimObject,
  extractStatus,
  matchesSelector,
  rollUpRules,
  statusDependencies,
} from './status/extract-status.js';
import { FreshnessWriter } from './tracking/freshness-writer.js';
import type { ResourceDocument } from './tracking/resource.schema.js';
import { StatusWriter } from './tracking/status-writer.js';
import { type TrackedResource, TrackedResources } from './tracking/tracked-resources.js';
import { WatchedClusters } from './watched-clusters.js';

const ALL_KINDS = KINDS.map(({ kind }) => kind);
const POD_SELECTING_KINDS = ALL_KINDS.filter((kind) => rollUpRules(kind).selectsPods);

/**
 * Turns what the watches see into statuses of resources. An object touches the resources of its own name, of its
 * owners', and those that select it; all that one turn of the event loop touched is evaluated once at its end.
 */
@Injectable()
export class StatusTracker {
  private readonly dirty = new Set<TrackedResource>();
  private readonly rechecks = new Map<string, Timer>();
  /** The last status extracted of each resource's object: the memory of its extractor. */
  private readonly latest = new Map<string, { readonly uid: string; readonly status: ResourceStatus }>();
  private flushing = false;
  private stopped = false;

  constructor(
    private readonly tracked: TrackedResources,
    private readonly clusters: WatchedClusters,
    private readonly writer: StatusWriter,
    private readonly freshness: FreshnessWriter,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    writer.onOutdatedFreshness(({ document }) => this.freshness.mark(setOf(document)));
  }

  /** Evaluates the resource again, if it is tracked and its watches have listed. */
  evaluate(resourceId: string): void {
    const resource = this.tracked.get(resourceId);
    if (resource) this.mark([resource]);
  }

  listenerFor(clusterId: string): ClusterWatchesListener {
    return {
      touched: (objects) => {
        for (const object of objects) this.touch(clusterId, object);
      },
      listed: (kind, namespaces) => {
        for (const each of this.affectedBy(kind)) {
          for (const namespace of namespaces) this.mark(this.tracked.inSet(clusterId, each, namespace));
        }
      },
      statusChanged: (kind, namespaces) => {
        for (const each of this.affectedBy(kind)) {
          for (const namespace of namespaces) {
            this.mark(this.tracked.inSet(clusterId, each, namespace));
            this.freshness.mark({ clusterId, kind: each, namespace });
          }
        }
      },
    };
  }

  /** Forgets what belongs to resources that are no longer tracked. */
  prune(): void {
    for (const id of this.latest.keys()) if (!this.tracked.get(id)) this.latest.delete(id);
    for (const [id, timer] of this.rechecks) {
      if (this.tracked.get(id)) continue;
      timer.cancel();
      this.rechecks.delete(id);
    }
  }

  stop(): void {
    this.stopped = true;
    for (const timer of this.rechecks.values()) timer.cancel();
    this.rechecks.clear();
    this.dirty.clear();
  }

  private touch(clusterId: string, object: SlimObject): void {
    const index = this.clusters.get(clusterId)?.index;
    if (!index) return;
    for (const { kind, namespace, name } of index.lineage(object)) {
      this.mark(this.tracked.ofObject({ clusterId, kind, namespace, name }));
    }
    if (object.kind !== 'Pod') return;
    for (const kind of POD_SELECTING_KINDS) this.mark(this.tracked.inSet(clusterId, kind, object.namespace));
  }

  /** The kinds whose status, and its freshness, depends on a kind. */
  private affectedBy(kind: string): string[] {
    return ALL_KINDS.filter((each) => each === kind || statusDependencies(each).includes(kind));
  }

  private mark(resources: Iterable<TrackedResource>): void {
    if (this.stopped) return;
    for (const resource of resources) this.dirty.add(resource);
    if (this.flushing || this.dirty.size === 0) return;
    this.flushing = true;
    queueMicrotask(() => {
      this.flushing = false;
      const batch = [...this.dirty];
      this.dirty.clear();
      for (const resource of batch) this.assess(resource);
    });
  }

  private assess(resource: TrackedResource): void {
    const { document, id } = resource;
    if (this.stopped || document.applied === null || this.tracked.get(id) !== resource) return;
    const { kind, namespace, name } = document;
    const clusterId = document.clusterId.toString();
    const watches = this.clusters.get(clusterId);
    const view = this.clusters.settledView(clusterId, kind, namespace);
    if (!watches || !view || view.resourceVersion === null) return;

    const object = watches.index.get(kind, namespace, name);
    const { listedSince } = view;
    if (!object) {
      this.recheckAfter(id, null);
      this.writer.submit(resource, { uid: null, status: null, resourceVersion: view.resourceVersion, listedSince });
      return;
    }
    const { recheckAfterMs, ...status } = extractStatus(
      withinSight(object, watches.view('Pod', namespace)),
      this.contextOf(resource, object, watches),
    );
    this.latest.set(id, { uid: object.uid, status });
    this.recheckAfter(id, recheckAfterMs);
    const { uid, resourceVersion } = object;
    this.writer.submit(resource, { uid, status, resourceVersion, listedSince });
  }

  private contextOf({ id, document }: TrackedResource, object: SlimObject, { index }: ClusterWatches): ExtractContext {
    const latest = this.latest.get(id);
    const stored = document.uid === object.uid ? statusOf(document) : null;
    return {
      now: this.clock.now(),
      children: (kind) => index.ownedBy(object.uid, kind),
      podsSelectedBy: (selector) =>
        [...index.inNamespace('Pod', object.namespace)].filter(({ labels }) => matchesSelector(selector, labels)),
      previous: latest?.uid === object.uid ? latest.status : stored,
    };
  }

  private recheckAfter(id: string, delayMs: number | null): void {
    this.rechecks.get(id)?.cancel();
    this.rechecks.delete(id);
    if (delayMs === null) return;
    const timer = this.clock.after(Math.min(Math.max(delayMs, MIN_RECHECK_MS), MAX_RECHECK_MS), () => {
      this.rechecks.delete(id);
      this.evaluate(id);
    });
    this.rechecks.set(id, timer);
  }
}

/** A deadline that has just passed must not spin. */
const MIN_RECHECK_MS = 100;
/** Asking again too early changes nothing; Node's timers end after 24.8 days. */
const MAX_RECHECK_MS = 86_400_000;

/** What the rights do not let us see must not look absent: without sight of pods, a Service is judged by itself. */
function withinSight(object: SlimObject, pods: NamespaceView | undefined): SlimObject {
  if (object.kind !== 'Service' || !pods?.forbidden) return object;
  return { ...object, state: { ...object.state, selector: null } };
}

function statusOf({ health, rollout, reason, message, details, children }: ResourceDocument): ResourceStatus {
  return { health, rollout, reason, message, details, children };
}

function setOf({ clusterId, kind, namespace }: ResourceDocument): {
  clusterId: string;
  kind: string;
  namespace: string;
} {
  return { clusterId: clusterId.toString(), kind, namespace };
}
