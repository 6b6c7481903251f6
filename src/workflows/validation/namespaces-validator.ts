import { Inject, Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { ClustersService } from '../../cluster-health/index.js';
import { KubernetesApiError, KubernetesApis, readNamespace } from '../../kubernetes/index.js';
import { askingCluster, type ClusterApis } from './asking-cluster.js';
import { errorProblem, warningProblem } from './problem.js';
import type { Finding, Problem, ValidateWorkflow, Validator } from './validator.js';

/** Whether the namespace of the workflow, and with it of all its nodes, is there and may be used. */
@Injectable()
export class NamespacesValidator implements Validator {
  readonly name = 'namespaces';

  constructor(
    @Inject(ClustersService) private readonly clusters: Pick<ClustersService, 'get'>,
    @Inject(KubernetesApis) private readonly apis: ClusterApis,
  ) {}

  validate({ workflow }: ValidateWorkflow, signal: AbortSignal): Promise<Finding> {
    const { clusterId, namespace } = workflow;
    return askingCluster(this.apis, workflow, signal, async (api) => {
      const { name, namespaces: limit } = await this.clusters.get(SYSTEM_SCOPE, clusterId);
      const problems: Problem[] = [];
      if (limit !== null && !limit.includes(namespace)) {
        const message = `cluster ${JSON.stringify(name)} is limited to ${limit.join(', ')}, without ${namespace}`;
        problems.push(errorProblem(message, { hint: 'widen the limit by PATCH /clusters/:id, or move the workflow' }));
      }
      try {
        problems.push(...problemsOf(namespace, await readNamespace(api, namespace, signal)));
      } catch (error) {
        if (!(error instanceof KubernetesApiError) || error.failure !== 'forbidden') throw error;
        const message = `not allowed to read namespace ${namespace}: whether it exists is not known`;
        problems.push(
          warningProblem(message, { hint: 'grant get on namespaces to the credential to have it checked' }),
        );
      }
      return { summary: `namespace ${namespace}`, problems };
    });
  }
}

function problemsOf(namespace: string, state: { readonly terminating: boolean } | undefined): Problem[] {
  if (state === undefined) {
    return [errorProblem(`there is no namespace ${namespace}`, { hint: `kubectl create namespace ${namespace}` })];
  }
  if (!state.terminating) return [];
  const hint = 'wait until it is gone, and create it anew';
  return [errorProblem(`namespace ${namespace} is being deleted and takes nothing new`, { hint })];
}
