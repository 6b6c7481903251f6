import { type KindDefinition, apiVersionOf, pathOf } from './kinds.js';
import { type KubernetesApi, KubernetesApiError } from './kubernetes-api.js';
import { AS_METADATA, type KubernetesObject, asObject, isRecord } from './object-meta.js';
import { statusError, statusOf } from './status-error.js';

export interface WatchOptions {
  readonly definition: KindDefinition;
  /** All namespaces if absent. */
  readonly namespace?: string;
  /** Events after it: of a list, or of the last event or bookmark. */
  readonly resourceVersion: string;
  /** After which the server ends the watch; drawn from 300–600 by the caller, so that watches do not end together. */
  readonly timeoutSeconds: number;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly signal: AbortSignal;
}

export type WatchEvent<T extends KubernetesObject = KubernetesObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T; readonly resourceVersion: string }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  /** The server gives the watch up; `gone` says that the resource version is too old. Nothing follows. */
  | { readonly type: 'ERROR'; readonly error: KubernetesApiError };

/**
 * Opens a watch with bookmarks; resolves once the server has accepted it. Kinds marked `metadataOnly` come without
 * their content.
 *
 * The iteration throws KubernetesApiError `cut` for an event that is none: what follows it could not be trusted.
 */
export async function watchObjects<T extends KubernetesObject = KubernetesObject>(
  api: KubernetesApi,
  options: WatchOptions,
): Promise<AsyncIterable<WatchEvent<T>>> {
  const { definition, namespace, signal } = options;
  const path = pathOf(definition, namespace);
  const lines = await api.watch({
    path,
    query: {
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: options.resourceVersion,
      timeoutSeconds: options.timeoutSeconds,
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
    },
    ...(definition.metadataOnly ? { accept: AS_METADATA } : {}),
    signal,
  });
  return eventsOf<T>(lines, definition, path);
}

async function* eventsOf<T extends KubernetesObject>(
  lines: AsyncIterable<unknown>,
  definition: KindDefinition,
  path: string,
): AsyncGenerator<WatchEvent<T>, void> {
  const typed = { apiVersion: apiVersionOf(definition), kind: definition.kind };
  for await (const line of lines) {
    const type = isRecord(line) ? line['type'] : undefined;
    const object = isRecord(line) ? line['object'] : undefined;
    if (type === 'ERROR') {
      const status = statusOf(object);
      yield {
        type,
        error: statusError({ method: 'WATCH', path, origin: 'the API server' }, status.code ?? 500, status),
      };
      return;
    }
    const read = asObject(object);
    if (!read) throw new KubernetesApiError('cut', `watch of ${path}: an event carries no object`);
    const { resourceVersion } = read.metadata;
    if (type === 'BOOKMARK') yield { type, resourceVersion };
    else if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') {
      yield { type, object: { ...read, ...typed } as T, resourceVersion };
    } else throw new KubernetesApiError('cut', `watch of ${path}: an event of an unknown type`);
  }
}
