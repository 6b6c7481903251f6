import { type KubernetesApi, KubernetesApiError, listObjects, watchObjects } from '../../kubernetes/index.js';
import type { ListOptions, ListPage, WatchEvent, WatchOptions, WatchSource, WatchTarget } from './watch-source.js';

const PROBE_MS = 5_000;
/** Failures by which the API server proves that it answers. */
const ANSWERS: ReadonlySet<string> = new Set(['unauthorized', 'forbidden', 'not-found']);

/** The lists and watches of a registered cluster. Asks for the connection each time: a changed access gets a new one. */
export class KubernetesWatchSource implements WatchSource {
  constructor(private readonly connect: () => Promise<KubernetesApi>) {}

  async list({ kind, namespace }: WatchTarget, options: ListOptions): Promise<ListPage> {
    const { continueToken, limit, signal } = options;
    const page = await listObjects(await this.connect(), {
      definition: kind,
      limit,
      signal,
      ...(namespace === null ? {} : { namespace }),
      ...(continueToken === null ? {} : { continueToken }),
    });
    return { items: page.items, resourceVersion: page.resourceVersion, continueToken: page.continueToken ?? null };
  }

  async watch({ kind, namespace }: WatchTarget, options: WatchOptions): Promise<AsyncIterable<WatchEvent>> {
    return watchObjects(await this.connect(), {
      definition: kind,
      ...options,
      ...(namespace === null ? {} : { namespace }),
    });
  }

  async probe(signal: AbortSignal): Promise<void> {
    const api = await this.connect();
    try {
      await api.call({ method: 'GET', path: '/version', timeoutMs: PROBE_MS, signal });
    } catch (error) {
      if (!(error instanceof KubernetesApiError && ANSWERS.has(error.failure))) throw error;
    }
  }
}
