import { type KubernetesApi, KubernetesApiError } from './kubernetes-api.js';
import { AS_METADATA, asObject } from './object-meta.js';

export interface NamespaceState {
  /** Its deletion has begun: nothing can be created in it any more. */
  readonly terminating: boolean;
}

/** undefined when there is no such namespace. @throws KubernetesApiError `forbidden` without the right to read it. */
export async function readNamespace(
  api: KubernetesApi,
  name: string,
  signal?: AbortSignal,
): Promise<NamespaceState | undefined> {
  const path = `/api/v1/namespaces/${encodeURIComponent(name)}`;
  try {
    const { body } = await api.call({ method: 'GET', path, accept: AS_METADATA, ...(signal ? { signal } : {}) });
    const namespace = asObject(body);
    if (namespace === undefined) throw new KubernetesApiError('cut', `GET ${path}: the answer is not an object`);
    return { terminating: namespace.metadata.deletionTimestamp !== undefined };
  } catch (error) {
    if (error instanceof KubernetesApiError && error.failure === 'not-found') return undefined;
    throw error;
  }
}
