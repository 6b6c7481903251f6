import { Inject, Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { type Cluster, ClustersService } from '../../cluster-health/index.js';
import { notKubernetes, reasonOf } from '../../cluster-health/cluster-reason.js';
import { AppError } from '../../errors/app-error.js';
import { KubernetesApiError, KubernetesApis, serverVersion } from '../../kubernetes/index.js';
import type { ClusterApis } from './asking-cluster.js';
import { errorProblem, warningProblem } from './problem.js';
import type { Finding, ValidateWorkflow, Validator } from './validator.js';

const VERSION_MS = 5_000;
/** Leaves the rest of the request's time for the answer, so that a silent cluster is told as such. */
const SHARE_OF_TIMEOUT = 0.7;

/** Whether the workflow's cluster is registered, answers in time and takes our credential. */
@Injectable()
export class ReachabilityValidator implements Validator {
  readonly name = 'reachability';

  constructor(
    @Inject(ClustersService) private readonly clusters: Pick<ClustersService, 'get'>,
    @Inject(KubernetesApis) private readonly apis: ClusterApis,
  ) {}

  async validate({ workflow, timeoutMs }: ValidateWorkflow, signal: AbortSignal): Promise<Finding> {
    let cluster: Cluster | undefined;
    try {
      cluster = await this.clusters.get(SYSTEM_SCOPE, workflow.clusterId);
      const api = await this.apis.forCluster(cluster.id);
      const withinMs = Math.min(VERSION_MS, Math.floor(timeoutMs * SHARE_OF_TIMEOUT));
      const version = await serverVersion(api, { timeoutMs: withinMs, signal });
      if (version === undefined) return notReachable(notKubernetes(cluster.server).message);
      return { summary: `Kubernetes ${version}`, problems: [] };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AppError) return ofOurs(error, cluster);
      if (cluster === undefined || !(error instanceof KubernetesApiError)) throw error;
      const { code, message } = reasonOf(error, cluster.server, '/version');
      // The credential was taken; the right to read the version is not what makes a cluster usable.
      if (code === 'forbidden') {
        return { summary: null, problems: [warningProblem(`the version of Kubernetes cannot be read: ${message}`)] };
      }
      return notReachable(`${message} (${code})`);
    }
  }
}

function ofOurs(error: AppError, cluster: Cluster | undefined): Finding {
  if (error.code !== 'resource.not_found' || cluster !== undefined) return notReachable(error.detail);
  const hint = 'register it and put the workflow with the id of the new one';
  return { summary: null, problems: [errorProblem('the cluster is not registered any more', { hint })] };
}

function notReachable(message: string): Finding {
  const hint = 'see GET /clusters/:id, and POST /clusters/:id/check once that is mended';
  return { summary: null, problems: [errorProblem(message, { hint })] };
}
