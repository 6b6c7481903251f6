import { Inject, Injectable, Logger } from '@nestjs/common';
import mongoose from 'mongoose';
import type { Principal, Scope } from '../auth/principal.js';
import { ClustersService } from '../cluster-health/index.js';
import { AppError, type FieldError } from '../errors/app-error.js';
import type { Page } from '../http/page.js';
import type { Removed } from '../http/removed.js';
import { canonicalJson } from './definition/canonical-json.js';
import { checkDefinition } from './definition/definition-rules.js';
import { withoutEmptyFields } from './definition/manifest-rules.js';
import { toFieldErrors, type Violation } from './definition/violation.js';
import { parseWorkflowYaml } from './definition/workflow-yaml.js';
import { InventoryRepository } from './inventory/inventory.repository.js';
import {
  type CreateWorkflow,
  type ListWorkflowsQuery,
  MAX_TIMEOUT_MS,
  type ReplaceWorkflow,
  type YamlWorkflowQuery,
} from './workflow.dto.js';
import type {
  Manifest,
  StoredWorkflow,
  Workflow,
  WorkflowDefinition,
  WorkflowNode,
  WorkflowSummary,
} from './workflow.js';
import { WorkflowList } from './workflow-list.js';
import { refuseInactive, refuseObjects, versionConflict } from './workflow-refusals.js';
import { WorkflowRemoval } from './workflow-removal.js';
import { maskSecrets, WorkflowSecrets } from './workflow-secrets.js';
import { WorkflowStatuses } from './workflow-statuses.js';
import { type WorkflowContent, WorkflowsRepository } from './workflows.repository.js';

type Locate = (violations: readonly Violation[]) => readonly FieldError[];

/** Rules of making, changing and removing workflows. Nothing here talks to a cluster. */
@Injectable()
export class WorkflowsService {
  private readonly log = new Logger(WorkflowsService.name);

  constructor(
    private readonly workflows: WorkflowsRepository,
    @Inject(ClustersService) private readonly clusters: Pick<ClustersService, 'get'>,
    private readonly inventory: InventoryRepository,
    private readonly secrets: WorkflowSecrets,
    private readonly statuses: WorkflowStatuses,
    private readonly lists: WorkflowList,
    private readonly removal: WorkflowRemoval,
  ) {}

  /** @throws AppError `request.invalid` with the path of each wrong field, `resource.name_taken`. */
  async create(principal: Principal, input: CreateWorkflow): Promise<Workflow> {
    return this.store(principal, input, toFieldErrors);
  }

  /** One node for each object of a YAML text, without edges. @throws AppError as `create` does, with documents and lines. */
  async createFromYaml(principal: Principal, text: string, query: YamlWorkflowQuery): Promise<Workflow> {
    const { nodes, locate } = parseWorkflowYaml(text);
    const content = {
      ...query,
      labels: {},
      nodes: nodes.map((node) => ({ ...node, timeoutMs: MAX_TIMEOUT_MS })),
      edges: [],
    };
    return this.store(principal, content, locate);
  }

  async list(scope: Scope, query: ListWorkflowsQuery): Promise<Page<WorkflowSummary>> {
    return this.lists.page(scope, query);
  }

  /** @throws AppError `resource.not_found`. */
  async get(scope: Scope, id: string): Promise<Workflow> {
    return this.show(scope, await this.find(scope, id));
  }

  /**
   * @throws AppError `request.invalid`, `resource.not_found`, `resource.version_conflict`, `resource.name_taken`,
   * `workflow.not_active`, and `workflow.in_use` when it would leave its objects behind in another place.
   */
  async replace(scope: Scope, id: string, input: ReplaceWorkflow): Promise<Workflow> {
    const current = await this.find(scope, id);
    refuseInactive(current);
    if (current.version !== input.version) throw versionConflict(current);
    const { tenantId } = await this.checkPlace(scope, input);
    if (tenantId !== current.tenantId) {
      throw AppError.invalid([
        { path: 'clusterId', message: `is a cluster of tenant ${tenantId}, not ${current.tenantId}` },
      ]);
    }
    if (input.clusterId !== current.clusterId || input.namespace !== current.namespace) {
      const hint = 'cluster and namespace can be changed after they were archived with deletion';
      refuseObjects(await this.inventory.ofWorkflow(scope, id), hint);
    }
    const content = this.checkedContent(current, input, toFieldErrors, current.nodes);
    const newRevision = definitionText(content) !== definitionText(current);
    const replaced = await this.workflows.replace(scope, id, input.version, content, newRevision);
    if (replaced === null) {
      const newer = await this.find(scope, id);
      refuseInactive(newer);
      throw versionConflict(newer);
    }
    this.log.log({ message: 'a workflow was changed', workflow: replaced.name, revision: replaced.revision });
    return this.show(scope, replaced);
  }

  /** @throws AppError `resource.not_found`, `workflow.run_active`, `workflow.in_use` unless its objects are abandoned. */
  async remove(scope: Scope, id: string, options: { readonly abandon: boolean }): Promise<Removed> {
    const removed = await this.removal.remove(scope, id, options);
    this.log.log({ message: 'a workflow was removed', workflowId: id, abandoned: options.abandon });
    return removed;
  }

  private async store(
    principal: Principal,
    input: Omit<CreateWorkflow, 'nodes'> & { readonly nodes: ReadonlyArray<CreateWorkflow['nodes'][number]> },
    locate: Locate,
  ): Promise<Workflow> {
    const { tenantId } = await this.checkPlace(principal, input);
    const owner = { id: new mongoose.Types.ObjectId().toHexString(), tenantId };
    const content = this.checkedContent(owner, input, locate);
    const workflow = await this.workflows.create({ ...owner, ...content, createdBy: principal.id });
    this.log.log({ message: 'a workflow was created', workflow: workflow.name, nodes: workflow.nodes.length });
    return this.show(principal, workflow);
  }

  /** The cluster has to be there for the caller and to be used in this namespace. */
  private async checkPlace(
    scope: Scope,
    { clusterId, namespace }: Pick<WorkflowDefinition, 'clusterId' | 'namespace'>,
  ): Promise<{ readonly tenantId: string }> {
    const cluster = await this.clusters.get(scope, clusterId).catch((error: unknown) => {
      if (!(error instanceof AppError) || error.code !== 'resource.not_found') throw error;
      throw AppError.invalid([{ path: 'clusterId', message: 'there is no such cluster' }]);
    });
    if (cluster.namespaces !== null && !cluster.namespaces.includes(namespace)) {
      const message = `cluster ${JSON.stringify(cluster.name)} is limited to ${cluster.namespaces.join(', ')}`;
      throw AppError.invalid([{ path: 'namespace', message }]);
    }
    return cluster;
  }

  private checkedContent(
    owner: { readonly id: string; readonly tenantId: string },
    input: Omit<CreateWorkflow, 'nodes'> & { readonly nodes: ReadonlyArray<CreateWorkflow['nodes'][number]> },
    locate: Locate,
    stored: readonly WorkflowNode[] = [],
  ): WorkflowContent {
    const { name, labels, clusterId, namespace, onFailure, edges } = input;
    const given = input.nodes.map((node) => ({ ...node, manifest: withoutEmptyFields(node.manifest) }));
    refuse(checkDefinition({ namespace, nodes: given, edges }), locate);
    const checked = given.map((node) => ({ ...node, manifest: node.manifest as Manifest }));
    const { nodes, violations } = this.secrets.seal(owner, checked, stored);
    refuse(violations, locate);
    return { name, labels, clusterId, namespace, onFailure, nodes, edges };
  }

  private async find(scope: Scope, id: string): Promise<StoredWorkflow> {
    const workflow = await this.workflows.find(scope, id);
    if (workflow === null) throw AppError.notFound('workflow');
    return workflow;
  }

  private async show(scope: Scope, workflow: StoredWorkflow): Promise<Workflow> {
    const status = await this.statuses.of(scope, workflow.id);
    return { ...workflow, nodes: workflow.nodes.map(maskSecrets), ...status };
  }
}

function refuse(violations: readonly Violation[], locate: Locate): void {
  if (violations.length > 0) throw AppError.invalid(locate(violations));
}

/** Equal for definitions that lead to the same cluster state. */
function definitionText({ clusterId, namespace, onFailure, nodes, edges }: WorkflowDefinition): string {
  return canonicalJson({
    clusterId,
    namespace,
    onFailure,
    nodes: nodes.map(({ id, manifest, timeoutMs }) => ({ id, manifest, timeoutMs })),
    edges,
  });
}
