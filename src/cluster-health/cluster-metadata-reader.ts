import type { KubernetesApi } from '../kubernetes/kubernetes-api.js';
import { KubernetesApiError } from '../kubernetes/kubernetes-api.js';
import type { ClusterMetadata, ClusterReason } from './cluster.js';
import { parseQuantity } from './quantity.js';

const PAGE_SIZE = 500;
const MAX_NAMES = 1_000;
const PARTIAL_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
const PARTIAL_OBJECT = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

export interface MetadataReading {
  /** What each call takes of the time that is left. */
  readonly remaining: () => { readonly signal: AbortSignal; readonly timeoutMs: number };
  /** Throws for a wanted stop. */
  readonly reasonOf: (error: unknown, what: string) => ClusterReason;
}

interface Node {
  readonly status?: {
    readonly capacity?: Readonly<Record<string, string>>;
    readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string }>;
  };
}

interface Named {
  readonly metadata?: { readonly name?: string };
}

/** Nodes with their capacity, and namespaces: only those of `limit` where the cluster is limited to some. */
export async function readMetadata(
  api: KubernetesApi,
  limit: readonly string[] | null,
  reading: MetadataReading,
): Promise<ClusterMetadata> {
  const [nodes, namespaces] = await Promise.all([
    attempt(() => readNodes(api, reading), 'cannot list nodes', reading),
    attempt(() => readNamespaces(api, limit, reading), 'cannot read namespaces', reading),
  ]);
  return {
    nodes: nodes.value?.nodes ?? null,
    capacity: nodes.value?.capacity ?? null,
    namespaces: namespaces.value ?? null,
    unavailable: {
      ...(nodes.reason === undefined ? {} : { nodes: nodes.reason, capacity: nodes.reason }),
      ...(namespaces.reason === undefined ? {} : { namespaces: namespaces.reason }),
    },
  };
}

async function attempt<T>(
  read: () => Promise<T>,
  what: string,
  reading: MetadataReading,
): Promise<{ value?: T; reason?: ClusterReason }> {
  try {
    return { value: await read() };
  } catch (error) {
    const { code, message } = reading.reasonOf(error, what);
    return { reason: { code, message: code === 'internal' ? message : `${what}: ${message}` } };
  }
}

async function readNodes(
  api: KubernetesApi,
  reading: MetadataReading,
): Promise<Pick<ClusterMetadata, 'nodes' | 'capacity'>> {
  const nodes = { total: 0, ready: 0 };
  const capacity = { cpu: 0, memory: 0, pods: 0 };
  for await (const node of pages<Node>(api, '/api/v1/nodes', undefined, reading)) {
    nodes.total += 1;
    if (node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')) nodes.ready += 1;
    for (const resource of ['cpu', 'memory', 'pods'] as const) {
      capacity[resource] += parseQuantity(node.status?.capacity?.[resource] ?? '') ?? 0;
    }
  }
  return { nodes, capacity };
}

async function readNamespaces(
  api: KubernetesApi,
  limit: readonly string[] | null,
  reading: MetadataReading,
): Promise<NonNullable<ClusterMetadata['namespaces']>> {
  const names: string[] = [];
  if (limit !== null) {
    for (const name of limit) if (await exists(api, name, reading)) names.push(name);
    return { total: names.length, names };
  }
  let total = 0;
  for await (const { metadata } of pages<Named>(api, '/api/v1/namespaces', PARTIAL_LIST, reading)) {
    total += 1;
    if (metadata?.name !== undefined && names.length < MAX_NAMES) names.push(metadata.name);
  }
  return { total, names };
}

/** One by one, because a right to some namespaces is no right to list all. */
async function exists(api: KubernetesApi, namespace: string, reading: MetadataReading): Promise<boolean> {
  try {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
    await api.call({ method: 'GET', path, accept: PARTIAL_OBJECT, ...reading.remaining() });
    return true;
  } catch (error) {
    if (error instanceof KubernetesApiError && error.failure === 'not-found') return false;
    throw error;
  }
}

async function* pages<T>(
  api: KubernetesApi,
  path: string,
  accept: string | undefined,
  reading: MetadataReading,
): AsyncGenerator<T> {
  let token: string | undefined;
  do {
    const { body } = await api.call<{ items?: T[]; metadata?: { continue?: string } } | null>({
      method: 'GET',
      path,
      query: { limit: PAGE_SIZE, continue: token },
      ...(accept === undefined ? {} : { accept }),
      ...reading.remaining(),
    });
    yield* body?.items ?? [];
    token = body?.metadata?.continue || undefined;
  } while (token !== undefined);
}
