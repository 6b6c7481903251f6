import type { ClusterCredential } from '../kubernetes/cluster-access.js';

/** Why a cluster cannot be used, or what is odd about one that can. Part of the API: codes are added, never renamed. */
export const CLUSTER_REASON_CODES = [
  'dns', // the server's name does not resolve
  'refused', // nothing listens there
  'tls', // the server's certificate is not the expected one
  'timeout',
  'egress', // the address is not allowed by the egress policy
  'cut', // the connection broke, or the answer was not readable
  'unauthorized', // the credential is not accepted
  'forbidden', // accepted, but without the right to ask for the version: still reachable
  'server', // the API server failed or is overloaded
  'not-kubernetes', // something else answers there
  'credential-mismatch', // server or CA were changed under the credential
  'credential-unreadable', // sealed with a key that is not configured
  'already-registered', // the same cluster is registered under another name: still reachable
  'identity-changed', // another cluster answers at the address: still reachable
  'internal',
] as const;
export type ClusterReasonCode = (typeof CLUSTER_REASON_CODES)[number];

export interface ClusterReason {
  readonly code: ClusterReasonCode;
  /** What happened and what to do. Never a secret, never another system's raw text. */
  readonly message: string;
}

/** The parts of a cluster's metadata that need rights of their own. */
export const METADATA_PARTS = ['nodes', 'capacity', 'namespaces'] as const;
export type MetadataPart = (typeof METADATA_PARTS)[number];

/** What the rights allow to be read of a cluster; a part that could not be read is null and named in `unavailable`. */
export interface ClusterMetadata {
  readonly nodes: { readonly total: number; readonly ready: number } | null;
  /** Sum over all nodes: `cpu` in cores, `memory` in bytes, `pods` as a count. */
  readonly capacity: { readonly cpu: number; readonly memory: number; readonly pods: number } | null;
  /** `names` holds the first 1000 in alphabetical order. */
  readonly namespaces: { readonly total: number; readonly names: readonly string[] } | null;
  readonly unavailable: Readonly<Partial<Record<MetadataPart, ClusterReason>>>;
}

/** A registered cluster as the API shows it. The credential is in no answer. */
export interface Cluster {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly server: string;
  /** SHA-256 of the first certificate of the CA bundle, as `openssl x509 -fingerprint -sha256` writes it. */
  readonly caFingerprint: string | null;
  readonly tlsServerName: string | null;
  readonly credentialType: ClusterCredential['type'];
  /** Of the kubeconfig that it came from. */
  readonly context: string | null;
  /** The only namespaces that are used; null: all. */
  readonly namespaces: readonly string[] | null;
  /** UID of the namespace `kube-system`; null until it could be read. */
  readonly uid: string | null;
  /** Whether it can be used; null before the first check. */
  readonly reachable: boolean | null;
  readonly latencyMs: number | null;
  readonly checkedAt: string | null;
  readonly reason: ClusterReason | null;
  readonly metadata: ClusterMetadata & { readonly version: string | null; readonly fetchedAt: string | null };
  /** Grows with every change by a user; health does not count. */
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
}

/** A cluster's health as streams and events tell it. */
export interface ClusterHealth {
  readonly clusterId: string;
  readonly name: string;
  readonly reachable: boolean | null;
  readonly latencyMs: number | null;
  readonly checkedAt: string | null;
  readonly reason: ClusterReason | null;
  /** Of Kubernetes: `v1.36.3`. */
  readonly version: string | null;
}
