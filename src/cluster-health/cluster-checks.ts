import { Inject, Injectable, Logger } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import type { ClusterAccess } from '../kubernetes/cluster-access.js';
import { EventBus } from '../realtime/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { CLUSTER_PROBER, type ClusterProber } from './cluster-prober.js';
import { ClusterAccessSealing, CredentialUnusable } from './cluster-access-sealing.js';
import { ClusterHealthHistoryRepository } from './cluster-health-history.repository.js';
import { ClusterHealthMetrics } from './cluster-health.metrics.js';
import { type ClusterHealthConfig, clusterHealthConfig } from './cluster-health.config.js';
import { toClusterHealth } from './cluster-view.js';
import type { ClusterReason } from './cluster.js';
import type { ClusterDocument, StoredHealth } from './cluster.schema.js';
import { ClusterTaken, ClustersRepository } from './clusters.repository.js';

/** A check's result before it is stored; without `metadata`, the stored one stays. */
export type Finding = Omit<StoredHealth, 'metadata'> & { readonly metadata?: StoredHealth['metadata'] };

export interface CheckOptions {
  readonly metadata: boolean;
  readonly signal?: AbortSignal;
}

/** Checks one cluster: asks it, stores what it said, tells it. Shared by the monitor and by the clusters' routes. */
@Injectable()
export class ClusterChecks {
  private readonly log = new Logger(ClusterChecks.name);
  private readonly stopping = new AbortController();
  private readonly inProgress = new Set<Promise<unknown>>();

  constructor(
    private readonly clusters: ClustersRepository,
    private readonly history: ClusterHealthHistoryRepository,
    private readonly sealing: ClusterAccessSealing,
    @Inject(CLUSTER_PROBER) private readonly prober: ClusterProber,
    private readonly bus: EventBus,
    private readonly metrics: ClusterHealthMetrics,
    @Inject(clusterHealthConfig.token) private readonly config: ClusterHealthConfig,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Asks a cluster that need not be stored, metadata included where wanted, within the check's deadline.
   * Rejects only with the signal's reason, or with `service.draining` during a shutdown.
   */
  probe(access: ClusterAccess, namespaces: readonly string[] | null, options: CheckOptions): Promise<Finding> {
    const signal = AbortSignal.any([this.stopping.signal, ...(options.signal ? [options.signal] : [])]);
    const probing = this.runProbe(access, namespaces, options.metadata, signal).finally(() => {
      this.inProgress.delete(probing);
    });
    this.inProgress.add(probing);
    return probing;
  }

  /**
   * Checks a stored cluster and stores the result, unless the cluster was changed, deleted or checked again meanwhile.
   * Resolves to the cluster as it is stored then; null when there is none any more.
   */
  async check(
    id: string,
    options: { readonly metadata: 'if-stale' | 'always'; readonly signal?: AbortSignal },
  ): Promise<ClusterDocument | null> {
    const cluster = await this.clusters.find(SYSTEM_SCOPE, id);
    if (!cluster) return null;
    const metadata = options.metadata === 'always' || this.isMetadataStale(cluster);
    const finding = await this.findOut(cluster, { ...options, metadata });
    const stored = await this.store(cluster, finding);
    if (!stored) return this.clusters.find(SYSTEM_SCOPE, id);
    await this.tell(stored);
    return stored;
  }

  /** Adds a stored check to the history and publishes it. */
  async tell(cluster: ClusterDocument): Promise<void> {
    await this.history.record(cluster);
    const clusterId = cluster._id.toHexString();
    const { tenantId, sequence } = cluster;
    const payload = { clusterId, tenantId, sequence, health: toClusterHealth(cluster) };
    this.bus.publish('cluster.checked', payload, { coalesceKey: clusterId });
  }

  /** Cuts what is in progress; resolves when nothing of it is left. */
  async stop(): Promise<void> {
    this.stopping.abort(new AppError('service.draining', 'the service is shutting down; ask again later'));
    await Promise.allSettled(this.inProgress);
  }

  private async runProbe(
    access: ClusterAccess,
    namespaces: readonly string[] | null,
    withMetadata: boolean,
    signal: AbortSignal,
  ): Promise<Finding> {
    const checkedAt = new Date(this.clock.now());
    const began = this.clock.monotonic();
    const { checkTimeoutMs } = this.config;
    const { reachable, version, ...result } = await this.prober.check(access, { signal, timeoutMs: checkTimeoutMs });
    const elapsedMs = this.clock.monotonic() - began;
    this.metrics.recordCheck(reachable, elapsedMs);
    const finding = { ...result, reachable, checkedAt, kubernetesVersion: version };
    if (!reachable || !withMetadata) return finding;
    const timeoutMs = Math.max(1, checkTimeoutMs - elapsedMs);
    const metadata = await this.prober.metadata(access, { signal, timeoutMs, namespaces });
    return { ...finding, metadata: { ...metadata, fetchedAt: new Date(this.clock.now()) } };
  }

  private async findOut(cluster: ClusterDocument, options: CheckOptions): Promise<Finding> {
    let access: ClusterAccess;
    try {
      access = this.sealing.open(cluster);
    } catch (error) {
      if (!(error instanceof CredentialUnusable)) throw error;
      this.log.warn({ message: 'a credential cannot be used', cluster: cluster.name, reason: error.reason.code });
      return unusable(error.reason, new Date(this.clock.now()));
    }
    return this.probe(access, cluster.namespaces, options);
  }

  private async store(cluster: ClusterDocument, finding: Finding): Promise<ClusterDocument | null> {
    const id = cluster._id.toHexString();
    const known = cluster.uid ?? finding.uid;
    const changed = finding.uid !== null && known !== finding.uid;
    // The version last seen stays shown while the cluster is away.
    const health = {
      ...finding,
      uid: known,
      kubernetesVersion: finding.kubernetesVersion ?? cluster.kubernetesVersion,
      reason: changed ? IDENTITY_CHANGED : finding.reason,
    };
    try {
      return await this.clusters.recordCheck(id, cluster, health);
    } catch (error) {
      if (!(error instanceof ClusterTaken) || finding.uid === null) throw error;
      const twin = await this.clusters.findTwin(cluster.tenantId, { uid: finding.uid }, id);
      return this.clusters.recordCheck(id, cluster, { ...health, uid: cluster.uid, reason: registeredAs(twin?.name) });
    }
  }

  private isMetadataStale({ metadata }: ClusterDocument): boolean {
    if (metadata === null) return true;
    // What failed for another reason than missing rights is tried again at once.
    const failed = Object.values(metadata.unavailable).some(({ code }) => code !== 'forbidden');
    return failed || this.clock.now() - metadata.fetchedAt.getTime() >= this.config.metadataMaxAgeMs;
  }
}

const IDENTITY_CHANGED: ClusterReason = {
  code: 'identity-changed',
  message:
    'the namespace kube-system has another UID than before, so another cluster answers at this address; ' +
    'give the credential again to accept it, or register it as a cluster of its own',
};

function registeredAs(name: string | undefined): ClusterReason {
  const other = name === undefined ? 'another cluster' : `cluster "${name}"`;
  return { code: 'already-registered', message: `this is the same cluster as ${other}; delete one of the two` };
}

function unusable(reason: ClusterReason, checkedAt: Date): Finding {
  return { uid: null, reachable: false, latencyMs: null, checkedAt, reason, kubernetesVersion: null };
}
