import type { KindDefinition } from '../../kubernetes/kinds.js';

/** What one reflector lists and watches. */
export interface WatchTarget {
  readonly kind: KindDefinition;
  /** null: all namespaces. */
  readonly namespace: string | null;
}

/** One page of a list; objects as parsed JSON. */
export interface ListPage {
  readonly items: readonly unknown[];
  /** Of the whole list, equal on every page. */
  readonly resourceVersion: string;
  /** null on the last page. */
  readonly continueToken: string | null;
}

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes */
export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: unknown }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'ERROR'; readonly error: Error };

export interface ListOptions {
  readonly limit: number;
  readonly continueToken: string | null;
  readonly signal: AbortSignal;
}

export interface WatchOptions {
  readonly resourceVersion: string;
  /** After which the server ends the stream cleanly. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

/**
 * Port: the lists and watches of one cluster.
 *
 * Rejections are `KubernetesApiError`; an abort rejects with the signal's reason.
 */
export interface WatchSource {
  /** A page of the most recent state (no resource version asked for): never older than what was seen before. */
  list(target: WatchTarget, options: ListOptions): Promise<ListPage>;
  /** Resolves once the server has accepted the watch; ends when the server ends it, throws when it was cut. */
  watch(target: WatchTarget, options: WatchOptions): Promise<AsyncIterable<WatchEvent>>;
  /** Cheap call that tells whether the API server answers at all. */
  probe(signal: AbortSignal): Promise<void>;
}
