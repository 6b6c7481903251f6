import type { ClusterMetadata, ClusterReasonCode } from '../../src/cluster-health/cluster.js';
import type {
  ClusterProber,
  ProbeOptions,
  ProbeResult,
  ProbedMetadata,
} from '../../src/cluster-health/cluster-prober.js';
import type { ClusterAccess } from '../../src/kubernetes/cluster-access.js';
import type { Clock } from '../../src/runtime/clock.js';

/** How a cluster of the fake behaves; what is absent is that of a healthy one. */
export interface FakeCluster {
  readonly uid?: string | null;
  readonly version?: string;
  /** Taken by the clock, not only told. */
  readonly latencyMs?: number;
  /** Cannot be used, for this reason. */
  readonly failure?: ClusterReasonCode;
  /** Never answers. */
  readonly silent?: boolean;
  /** The only credential that is taken. */
  readonly token?: string;
  readonly metadata?: Partial<ClusterMetadata>;
}

const METADATA: ClusterMetadata = {
  nodes: { total: 1, ready: 1 },
  capacity: { cpu: 4, memory: 8 * 2 ** 30, pods: 110 },
  namespaces: { total: 2, names: ['default', 'kube-system'] },
  unavailable: {},
};

/** Clusters by their server; keeps the same promises as the real prober, by the same contract suite. */
export class FakeClusterProber implements ClusterProber {
  readonly clusters = new Map<string, FakeCluster>();
  /** Every check that was begun: the access it was given. */
  readonly checks: ClusterAccess[] = [];
  readonly metadataReads: ClusterAccess[] = [];
  inFlight = 0;
  mostInFlight = 0;
  private readonly gates = new Map<string, Promise<void>>();

  constructor(private readonly clock: Clock) {}

  /** Holds the next check of the server back until the returned function is called. */
  holdNext(server: string): () => void {
    const gate = Promise.withResolvers<void>();
    this.gates.set(server, gate.promise);
    return () => gate.resolve();
  }

  async check(access: ClusterAccess, { timeoutMs, signal }: ProbeOptions): Promise<ProbeResult> {
    signal.throwIfAborted();
    this.checks.push(access);
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    try {
      const cluster = this.clusters.get(access.server) ?? {};
      const gate = this.gates.get(access.server);
      this.gates.delete(access.server);
      await gate;
      signal.throwIfAborted();
      return await this.answer(cluster, access, timeoutMs, signal);
    } finally {
      this.inFlight -= 1;
    }
  }

  async metadata(
    access: ClusterAccess,
    { namespaces, signal }: ProbeOptions & { readonly namespaces: readonly string[] | null },
  ): Promise<ProbedMetadata> {
    signal.throwIfAborted();
    this.metadataReads.push(access);
    const all = { ...METADATA, ...this.clusters.get(access.server)?.metadata };
    if (namespaces === null || all.namespaces === null) return Promise.resolve(all);
    const names = namespaces.filter((name) => all.namespaces?.names.includes(name));
    return Promise.resolve({ ...all, namespaces: { total: names.length, names } });
  }

  private async answer(
    { silent, failure, token, latencyMs = 12, version = 'v1.36.3', uid = null }: FakeCluster,
    access: ClusterAccess,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ProbeResult> {
    await this.clock.sleep(silent === true ? timeoutMs : Math.min(latencyMs, timeoutMs), signal);
    if (silent === true) return unreachable('timeout');
    if (failure !== undefined) return unreachable(failure);
    const { credential } = access;
    if (token !== undefined && (credential.type !== 'token' || credential.token !== token)) {
      return unreachable('unauthorized');
    }
    return { reachable: true, latencyMs, version, uid, reason: null };
  }
}

function unreachable(code: ClusterReasonCode): ProbeResult {
  return { reachable: false, latencyMs: null, version: null, uid: null, reason: { code, message: `it is ${code}` } };
}
