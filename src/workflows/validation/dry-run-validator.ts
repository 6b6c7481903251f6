import { Inject, Injectable } from '@nestjs/common';
import { DatabaseConnection } from '../../database/index.js';
import {
  applyObject,
  findKind,
  getMetadata,
  isAllowed,
  type KubernetesApi,
  KubernetesApiError,
  KubernetesApis,
  type ObjectReference,
} from '../../kubernetes/index.js';
import { counted } from '../../runtime/counted.js';
import { describeObject } from '../execution/node-report.js';
import { desiredManifest, isOwnedBy, scalersOf, setsReplicas } from '../execution/object-owner.js';
import { objectOf } from '../inventory/inventory-entry.js';
import type { Manifest, StoredWorkflow, WorkflowNode } from '../workflow.js';
import { WorkflowSecrets } from '../workflow-secrets.js';
import { askingCluster, atEachNode, type ClusterApis } from './asking-cluster.js';
import { type DryRun, problemsOfAnswer, problemsOfFailure } from './dry-run-problems.js';
import { warningProblem, withoutRepeats } from './problem.js';
import type { Finding, Problem, ValidateWorkflow, Validator } from './validator.js';

/** An object may come into being, or be replaced, between the look at it and the apply. */
const MAX_LOOKS = 3;

/** Whether the API server would take each manifest, by the apply that a run makes, with `dryRun=All`. */
@Injectable()
export class DryRunValidator implements Validator {
  readonly name = 'dry-run';

  constructor(
    @Inject(KubernetesApis) private readonly apis: ClusterApis,
    @Inject(DatabaseConnection)
    private readonly database: { readonly installation: { readonly installationId: string } },
    private readonly secrets: WorkflowSecrets,
  ) {}

  validate({ workflow }: ValidateWorkflow, signal: AbortSignal): Promise<Finding> {
    return askingCluster(this.apis, workflow, signal, async (api) => {
      let tried = 0;
      const problems = await atEachNode(workflow, signal, async (node, ended) => {
        const run = this.dryRunOf(workflow, node);
        if (run === undefined) return [];
        try {
          const found = await this.apply(api, run, workflow, ended);
          if (found === 'not-ours') return [];
          tried += 1;
          return found;
        } catch (error) {
          ended.throwIfAborted();
          return this.failed(api, run, error, ended);
        }
      });
      const summary = `${tried} of ${counted(workflow.nodes.length, 'manifest')} tried`;
      return { summary, problems: withoutRepeats(problems), isSkipped: tried === 0 };
    });
  }

  /** undefined for a manifest that the other validators have something to say about. */
  private dryRunOf(workflow: StoredWorkflow, node: WorkflowNode): DryRun | undefined {
    const definition = findKind(node.manifest.kind);
    const manifest = this.opened(workflow, node);
    if (definition === undefined || manifest === undefined) return undefined;
    const object = objectOf(node.manifest, workflow.namespace);
    return { nodeId: node.id, label: describeObject(object), reference: { ...object, definition }, manifest };
  }

  private async apply(
    api: KubernetesApi,
    run: DryRun,
    workflow: StoredWorkflow,
    signal: AbortSignal,
  ): Promise<Problem[] | 'not-ours'> {
    const { reference, manifest, nodeId, label } = run;
    const owner = { installationId: this.database.installation.installationId, workflowId: workflow.id, nodeId };
    for (let look = 1; look <= MAX_LOOKS; look += 1) {
      const existing = await getMetadata(api, reference, signal);
      if (existing !== undefined && !isOwnedBy(existing, owner)) return 'not-ours';
      const withoutReplicas = existing !== undefined && setsReplicas(manifest) && scalersOf(existing).length > 0;
      const desired = desiredManifest(manifest, { namespace: reference.namespace, owner, withoutReplicas });
      const answer = await applyObject(api, reference, { manifest: desired, existing, dryRun: true, signal });
      if (answer.outcome !== 'changed') return problemsOfAnswer(run, answer);
    }
    return [warningProblem(`${label} kept being replaced while it was tried`, { nodeId, hint: 'validate again' })];
  }

  private async failed(api: KubernetesApi, run: DryRun, error: unknown, signal: AbortSignal): Promise<Problem[]> {
    if (!(error instanceof KubernetesApiError)) throw error;
    if (error.failure === 'forbidden' && !(await mayApply(api, run.reference, signal))) {
      const { group, plural } = run.reference.definition;
      const resource = group === '' ? plural : `${plural}.${group}`;
      const message = `not tried: the credential is not allowed to apply ${resource}`;
      return [warningProblem(message, { hint: 'see the verdict of rights' })];
    }
    return problemsOfFailure(api, run, error, signal);
  }

  private opened(workflow: StoredWorkflow, node: WorkflowNode): Manifest | undefined {
    try {
      return this.secrets.open(workflow, node);
    } catch {
      // Told by the validator of the schema. The sealer's error may hold what has to stay out of answers and logs.
      return undefined;
    }
  }
}

/**
 * A 403 is an answer to the manifest (quota, pod security, a webhook) only if it is not one to the credential. Where that
 * cannot be asked, it is told as it is.
 */
async function mayApply(api: KubernetesApi, reference: ObjectReference, signal: AbortSignal): Promise<boolean> {
  try {
    for (const verb of ['get', 'patch', 'create']) {
      if (!(await isAllowed(api, { verb, ...reference }, signal))) return false;
    }
  } catch (error) {
    if (!(error instanceof KubernetesApiError) || error.failure !== 'forbidden') throw error;
  }
  return true;
}
