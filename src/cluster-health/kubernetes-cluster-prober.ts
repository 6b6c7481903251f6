import { Inject, Injectable, Logger } from '@nestjs/common';
import {
  type ClusterAccess,
  type KubernetesApi,
  KubernetesApiError,
  KubernetesApis,
  serverVersion,
} from '../kubernetes/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { ClusterReason } from './cluster.js';
import { readMetadata } from './cluster-metadata-reader.js';
import type { ClusterProber, ProbeOptions, ProbeResult, ProbedMetadata } from './cluster-prober.js';
import { notKubernetes, reasonOf } from './cluster-reason.js';

/** Discovery documents are small; more is not Kubernetes (security-relevant: a hostile server answers without end). */
const DISCOVERY_MAX_BYTES = 1024 * 1024;
const PARTIAL_METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

/** The port over the API server's own endpoints. */
@Injectable()
export class KubernetesClusterProber implements ClusterProber {
  private readonly log = new Logger(KubernetesClusterProber.name);

  constructor(
    private readonly apis: KubernetesApis,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  check(access: ClusterAccess, options: ProbeOptions): Promise<ProbeResult> {
    return this.withApi(access, options, async (api, remaining) => {
      const began = this.clock.monotonic();
      try {
        const version = await serverVersion(api, remaining());
        const latencyMs = Math.round(this.clock.monotonic() - began);
        if (version === undefined) return unreachable(notKubernetes(access.server));
        return { reachable: true, latencyMs, version, uid: await this.readUid(api, remaining), reason: null };
      } catch (error) {
        options.signal.throwIfAborted();
        const reason = this.reason(error, access.server, '/version');
        if (reason.code !== 'forbidden') return unreachable(reason);
        // The credential was taken; the right to read the version is not what makes a cluster usable.
        const latencyMs = Math.round(this.clock.monotonic() - began);
        return { reachable: true, latencyMs, version: null, uid: await this.readUid(api, remaining), reason };
      }
    });
  }

  metadata(
    access: ClusterAccess,
    options: ProbeOptions & { readonly namespaces: readonly string[] | null },
  ): Promise<ProbedMetadata> {
    return this.withApi(access, options, (api, remaining) =>
      readMetadata(api, options.namespaces, {
        remaining,
        reasonOf: (error, what) => {
          options.signal.throwIfAborted();
          return this.reason(error, access.server, what);
        },
      }),
    );
  }

  /** Null where the rights do not reach, which says nothing about the cluster's health. */
  private async readUid(api: KubernetesApi, remaining: () => Remaining): Promise<string | null> {
    try {
      const { body } = await api.call<{ metadata?: { uid?: unknown } } | null>({
        method: 'GET',
        path: '/api/v1/namespaces/kube-system',
        accept: PARTIAL_METADATA,
        maxBytes: DISCOVERY_MAX_BYTES,
        ...remaining(),
      });
      const uid = body?.metadata?.uid;
      return typeof uid === 'string' && uid.length <= 64 ? uid : null;
    } catch (error) {
      if (error instanceof KubernetesApiError) return null;
      throw error;
    }
  }

  private async withApi<T>(
    access: ClusterAccess,
    { timeoutMs, signal }: ProbeOptions,
    use: (api: KubernetesApi, remaining: () => Remaining) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const deadline = this.clock.monotonic() + timeoutMs;
    const remaining = (): Remaining => ({ signal, timeoutMs: Math.max(1, deadline - this.clock.monotonic()) });
    const api = this.apis.open(access);
    try {
      return await use(api, remaining);
    } finally {
      await api.close();
    }
  }

  private reason(error: unknown, server: string, what: string): ClusterReason {
    if (!(error instanceof KubernetesApiError)) {
      this.log.error({ message: 'the check of a cluster failed in an unforeseen way', server, error });
    }
    return reasonOf(error, server, what);
  }
}

/** What each call takes of the time that is left. */
export interface Remaining {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

function unreachable(reason: ClusterReason): ProbeResult {
  return { reachable: false, latencyMs: null, version: null, uid: null, reason };
}
