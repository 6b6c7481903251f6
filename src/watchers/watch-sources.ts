import type { WatchSource } from './reflector/watch-source.js';

/** Port: what to list and watch a cluster through, and how far. */
export interface WatchSources {
  sourceOf(clusterId: string): WatchSource;
  /** The namespaces that the cluster is limited to, null for all; undefined when it is not registered. */
  namespacesOf(clusterId: string): Promise<readonly string[] | null | undefined>;
}

export const WATCH_SOURCES = Symbol('WatchSources');
