import { Injectable } from '@nestjs/common';
import type { ClusterWatches, NamespaceView } from './cluster-watches.js';
import type { Freshness } from './resource.js';
import { statusDependencies } from './status/extract-status.js';

/** The running watches of all clusters: kept by the manager, read by whoever asks what a resource looks like. */
@Injectable()
export class WatchedClusters {
  private readonly byId = new Map<string, ClusterWatches>();

  get(clusterId: string): ClusterWatches | undefined {
    return this.byId.get(clusterId);
  }

  entries(): Iterable<[string, ClusterWatches]> {
    return this.byId.entries();
  }

  set(clusterId: string, watches: ClusterWatches): void {
    this.byId.set(clusterId, watches);
  }

  delete(clusterId: string): void {
    this.byId.delete(clusterId);
  }

  /**
   * How fresh the status of a kind's resources in a namespace is: as fresh as its own watch and those that its status is
   * read from. A kind that the rights do not let us see is left out: nothing is known of it that could be stale.
   */
  freshnessOf(clusterId: string, kind: string, namespace: string): Freshness {
    const watches = this.get(clusterId);
    const own = watches?.view(kind, namespace);
    if (!watches || !own) return 'stale';
    const others = statusDependencies(kind)
      .map((needed) => watches.view(needed, namespace))
      .filter((view) => view !== undefined && !view.forbidden);
    const all = new Set([own, ...others].map((view) => view?.freshness));
    return all.has('stale') ? 'stale' : all.has('syncing') ? 'syncing' : 'live';
  }

  /** The kind's view, once it and all that its status is read from have been listed; undefined before. */
  settledView(clusterId: string, kind: string, namespace: string): NamespaceView | undefined {
    const watches = this.get(clusterId);
    const own = watches?.view(kind, namespace);
    if (!watches || !own || own.resourceVersion === null) return undefined;
    const settled = statusDependencies(kind).every((needed) => {
      const view = watches.view(needed, namespace);
      return view === undefined || view.forbidden || view.resourceVersion !== null;
    });
    return settled ? own : undefined;
  }
}
