import { fromStoredLabels } from '../http/labels.js';
import type { Cluster, ClusterHealth } from './cluster.js';
import type { ClusterDocument } from './cluster.schema.js';

/** What the API shows of a stored cluster: field by field, so that nothing is shown by being stored. */
export function toCluster(stored: ClusterDocument): Cluster {
  const { metadata } = stored;
  return {
    id: stored._id.toHexString(),
    tenantId: stored.tenantId,
    name: stored.name,
    labels: fromStoredLabels(stored.labels),
    server: stored.server,
    caFingerprint: stored.caFingerprint,
    tlsServerName: stored.tlsServerName,
    credentialType: stored.credentialType,
    context: stored.context,
    namespaces: stored.namespaces,
    uid: stored.uid,
    reachable: stored.reachable,
    latencyMs: stored.latencyMs,
    checkedAt: stored.checkedAt?.toISOString() ?? null,
    reason: stored.reason,
    metadata: {
      version: stored.kubernetesVersion,
      nodes: metadata?.nodes ?? null,
      capacity: metadata?.capacity ?? null,
      namespaces: metadata?.namespaces ?? null,
      unavailable: metadata?.unavailable ?? {},
      fetchedAt: metadata?.fetchedAt.toISOString() ?? null,
    },
    version: stored.version,
    createdAt: stored.createdAt.toISOString(),
    createdBy: stored.createdBy,
    updatedAt: stored.updatedAt.toISOString(),
  };
}

export function toClusterHealth(stored: ClusterDocument): ClusterHealth {
  return {
    clusterId: stored._id.toHexString(),
    name: stored.name,
    reachable: stored.reachable,
    latencyMs: stored.latencyMs,
    checkedAt: stored.checkedAt?.toISOString() ?? null,
    reason: stored.reason,
    version: stored.kubernetesVersion,
  };
}
