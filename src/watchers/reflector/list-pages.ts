import { KubernetesApiError } from '../../kubernetes/kubernetes-api.js';
import type { WatchSource, WatchTarget } from './watch-source.js';

export interface ListOptions<T> {
  readonly source: Pick<WatchSource, 'list'>;
  readonly target: WatchTarget;
  readonly pageSize: number;
  /** Null leaves an object out. */
  readonly read: (object: unknown) => T | null;
  readonly signal: AbortSignal;
}

export interface Listed<T> {
  readonly objects: readonly T[];
  readonly resourceVersion: string;
}

/** The complete state of one kind, page by page, each object once. */
export async function listPages<T extends { readonly uid: string }>(options: ListOptions<T>): Promise<Listed<T>> {
  const { source, target, pageSize, read, signal } = options;
  const found = new Map<string, T>();
  const listPage = async (limit: number, continueToken: string | null) => {
    const { items, ...page } = await source.list(target, { limit, continueToken, signal });
    for (const item of items) {
      const object = read(item);
      if (object) found.set(object.uid, object);
    }
    return page;
  };
  let page = await listPage(pageSize, null);
  while (page.continueToken !== null) {
    try {
      page = await listPage(pageSize, page.continueToken);
    } catch (error) {
      if (!(error instanceof KubernetesApiError) || error.failure !== 'gone') throw error;
      // The token outlived the server's snapshot: whatever size it has, one answer cannot expire.
      found.clear();
      page = await listPage(0, null);
    }
  }
  return { objects: [...found.values()], resourceVersion: page.resourceVersion };
}
