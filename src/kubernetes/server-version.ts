import type { KubernetesApi } from './kubernetes-api.js';
import { isRecord } from './object-meta.js';

const VERSION_BYTES = 1024 * 1024;

/** `v1.36.3`; undefined when the server does not say. Needs no rights. @throws KubernetesApiError */
export async function serverVersion(
  api: KubernetesApi,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<string | undefined> {
  const { body } = await api.call({ method: 'GET', path: '/version', maxBytes: VERSION_BYTES, ...options });
  const version = isRecord(body) ? body['gitVersion'] : undefined;
  return typeof version === 'string' && version.length <= 100 ? version : undefined;
}
