import { type KindDefinition, apiVersionOf, pathOf } from './kinds.js';
import { type KubernetesApi, KubernetesApiError } from './kubernetes-api.js';
import { AS_METADATA_LIST, type KubernetesObject, asObject, isRecord } from './object-meta.js';

export const LIST_PAGE_SIZE = 500;
const LIST_MS = 60_000;

export interface ListOptions {
  readonly definition: KindDefinition;
  /** All namespaces if absent. */
  readonly namespace?: string;
  /** Of the page before. */
  readonly continueToken?: string;
  /** The most recent if absent. `0`: any that the server has at hand, unpaged. */
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'NotOlderThan' | 'Exact';
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Objects in a page; 500 if absent, 0 for no paging. */
  readonly limit?: number;
  readonly signal: AbortSignal;
}

export interface ObjectPage<T extends KubernetesObject = KubernetesObject> {
  /** With `apiVersion` and `kind`, which the server leaves out in lists. */
  readonly items: readonly T[];
  /** Of the list, where a watch goes on; never of an object in it. */
  readonly resourceVersion: string;
  /** Absent on the last page. */
  readonly continueToken?: string;
}

/**
 * One page. Kinds marked `metadataOnly` come without their content.
 *
 * @throws KubernetesApiError: `gone` when the token or version is too old.
 */
export async function listObjects<T extends KubernetesObject = KubernetesObject>(
  api: KubernetesApi,
  options: ListOptions,
): Promise<ObjectPage<T>> {
  const { definition, namespace, continueToken, limit = LIST_PAGE_SIZE } = options;
  const path = pathOf(definition, namespace);
  const { body } = await api.call({
    method: 'GET',
    path,
    query: {
      limit: limit === 0 ? undefined : limit,
      continue: continueToken,
      // With a token the version is in it, and naming one is refused.
      resourceVersion: continueToken === undefined ? options.resourceVersion : undefined,
      resourceVersionMatch: continueToken === undefined ? options.resourceVersionMatch : undefined,
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
    },
    ...(definition.metadataOnly ? { accept: AS_METADATA_LIST } : {}),
    timeoutMs: LIST_MS,
    signal: options.signal,
  });
  return pageOf<T>(body, definition, path);
}

function pageOf<T extends KubernetesObject>(body: unknown, definition: KindDefinition, path: string): ObjectPage<T> {
  const metadata = isRecord(body) && isRecord(body['metadata']) ? body['metadata'] : {};
  const { resourceVersion, continue: next } = metadata;
  const raw: unknown = isRecord(body) ? (body['items'] ?? []) : undefined;
  const items = Array.isArray(raw) ? raw.map(asObject) : [undefined];
  if (typeof resourceVersion !== 'string' || !items.every((item) => item !== undefined)) {
    throw new KubernetesApiError('cut', `GET ${path}: the answer is not a list of objects`);
  }
  const typed = { apiVersion: apiVersionOf(definition), kind: definition.kind };
  return {
    items: items.map((item) => ({ ...item, ...typed }) as T),
    resourceVersion,
    ...(typeof next === 'string' && next !== '' ? { continueToken: next } : {}),
  };
}
