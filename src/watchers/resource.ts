/** How a resource is; the words of the API. `deleted` is gone by us, `missing` gone without us. */
export const HEALTHS = [
  'pending',
  'healthy',
  'progressing',
  'degraded',
  'suspended',
  'completed',
  'terminating',
  'deleted',
  'missing',
  'unknown',
] as const;
export type Health = (typeof HEALTHS)[number];

export const ROLLOUTS = ['complete', 'progressing', 'paused', 'failed'] as const;
export type Rollout = (typeof ROLLOUTS)[number];

/** `live`: a watch stands behind it; `syncing`: being listed; `stale`: the cluster has not been heard. */
export const FRESHNESSES = ['live', 'syncing', 'stale'] as const;
export type Freshness = (typeof FRESHNESSES)[number];

/** An object owned by the resource (ReplicaSet, Pod, Job), rolled up to it. */
export interface ChildStatus {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly health: Health;
  readonly reason: string | null;
  readonly message: string | null;
}

/** What an extractor reads from an object and its children. Pure data: equal inputs give deeply equal outputs. */
export interface ResourceStatus {
  readonly health: Health;
  /** null for kinds that do not roll out. */
  readonly rollout: Rollout | null;
  /** CamelCase, as Kubernetes writes reasons; null when there is nothing to say. */
  readonly reason: string | null;
  readonly message: string | null;
  /** Per kind: replica counts, addresses, ports, phases. Flat where possible, JSON-safe, never a secret. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Unhealthy first, then by name; at most 20, `details.childCount` has the whole number. */
  readonly children: readonly ChildStatus[];
}

/** A resource as the API shows it: the object of one workflow node. */
export interface Resource extends ResourceStatus {
  readonly id: string;
  readonly tenantId: string;
  readonly workflowId: string;
  readonly nodeId: string;
  readonly clusterId: string;
  /** Of the object in the cluster; null before it was first created and after it has gone. */
  readonly uid: string | null;
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** When it came into this health, RFC 3339. */
  readonly since: string;
  /** The health before, so that a recovery can be told from a first start. */
  readonly previous: Health | null;
  readonly freshness: Freshness;
  /** Grows by one with every stored change: orders a snapshot and the changes around it. */
  readonly version: number;
  readonly updatedAt: string;
}
