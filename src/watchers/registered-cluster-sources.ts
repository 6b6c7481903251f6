import { Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../auth/principal.js';
import { ClustersService } from '../cluster-health/index.js';
import { AppError } from '../errors/app-error.js';
import { KubernetesApis } from '../kubernetes/index.js';
import { KubernetesWatchSource } from './reflector/kubernetes-watch-source.js';
import type { WatchSource } from './reflector/watch-source.js';
import type { WatchSources } from './watch-sources.js';

/** The registered clusters, over their API servers. */
@Injectable()
export class RegisteredClusterSources implements WatchSources {
  constructor(
    private readonly clusters: ClustersService,
    private readonly apis: KubernetesApis,
  ) {}

  sourceOf(clusterId: string): WatchSource {
    return new KubernetesWatchSource(() => this.apis.forCluster(clusterId));
  }

  async namespacesOf(clusterId: string): Promise<readonly string[] | null | undefined> {
    try {
      return (await this.clusters.get(SYSTEM_SCOPE, clusterId)).namespaces;
    } catch (error) {
      if (error instanceof AppError && error.code === 'resource.not_found') return undefined;
      throw error;
    }
  }
}
