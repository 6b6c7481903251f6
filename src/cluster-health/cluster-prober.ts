import type { ClusterAccess } from '../kubernetes/cluster-access.js';
import type { ClusterMetadata, ClusterReason } from './cluster.js';

export interface ProbeResult {
  /** Whether it can be used: it answers, and takes our credential. */
  readonly reachable: boolean;
  /** Of the first call on a fresh connection, name resolution and handshakes included; null when not reachable. */
  readonly latencyMs: number | null;
  /** Of Kubernetes; null when not reachable or not readable. */
  readonly version: string | null;
  /** Of the namespace `kube-system`; null when it could not be read. */
  readonly uid: string | null;
  /** Null when all is well. */
  readonly reason: ClusterReason | null;
}

export type ProbedMetadata = ClusterMetadata;

/** Port: asks one cluster how it is. Both calls open a connection of their own and leave none behind. */
export interface ClusterProber {
  /** Every failure of the cluster is a result. Rejects only with the signal's reason. */
  check(access: ClusterAccess, options: ProbeOptions): Promise<ProbeResult>;
  /** What cannot be read is null and told in `unavailable`. Rejects only with the signal's reason. */
  metadata(
    access: ClusterAccess,
    options: ProbeOptions & { readonly namespaces: readonly string[] | null },
  ): Promise<ProbedMetadata>;
}

export interface ProbeOptions {
  /** Milliseconds for the whole call. */
  readonly timeoutMs: number;
  /** A wanted stop, as opposed to the end of the time. */
  readonly signal: AbortSignal;
}

export const CLUSTER_PROBER = Symbol('ClusterProber');
