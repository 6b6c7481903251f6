import { Inject, Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import mongoose, { type Model, type Types } from 'mongoose';
import { type Scope, tenantFilter } from '../auth/principal.js';
import { isDuplicateKey } from '../database/index.js';
import { AppError } from '../errors/app-error.js';
import { labelFilter, type Requirement } from '../http/label-selector.js';
import { toStoredLabels } from '../http/labels.js';
import { cursorFilter } from '../http/page.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { canonicalJson } from './definition/canonical-json.js';
import type { StoredWorkflow, WorkflowDefinition, WorkflowState } from './workflow.js';
import { type ListedWorkflowDocument, toStoredWorkflow, type WorkflowDocument } from './workflow.schema.js';

/** A workflow's part that its user writes; Secret values sealed. */
export interface WorkflowContent extends WorkflowDefinition {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface NewWorkflow extends WorkflowContent {
  /** Made beforehand, because Secret values are sealed for it. */
  readonly id: string;
  readonly tenantId: string;
  readonly createdBy: string;
}

export interface WorkflowFilter {
  readonly name?: readonly string[] | undefined;
  readonly clusterId?: readonly string[] | undefined;
  readonly namespace?: readonly string[] | undefined;
  readonly state?: readonly WorkflowState[] | undefined;
  readonly labelSelector?: readonly Requirement[] | undefined;
}

const LISTED = { 'nodes.manifest': 0, 'nodes.timeoutMs': 0, edges: 0 } as const;

/** The stored workflows. One whose deletion has begun is found by `deleting` alone. */
@Injectable()
export class WorkflowsRepository {
  constructor(
    @InjectModel('Workflow') private readonly model: Model<WorkflowDocument>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Throws AppError `resource.name_taken`. */
  async create(workflow: NewWorkflow): Promise<StoredWorkflow> {
    const now = new Date(this.clock.now());
    const document: WorkflowDocument = {
      _id: toObjectId(workflow.id),
      tenantId: workflow.tenantId,
      ...toFields(workflow),
      state: 'active',
      deleting: false,
      revision: 1,
      version: 1,
      createdAt: now,
      createdBy: workflow.createdBy,
      updatedAt: now,
    };
    await this.refusingTakenName(workflow.name, () => this.model.create(document));
    return toStoredWorkflow(document);
  }

  async find(scope: Scope, id: string): Promise<StoredWorkflow | null> {
    const document = await this.model.findOne({ ...visible(scope), _id: id }).lean<WorkflowDocument>();
    return document === null ? null : toStoredWorkflow(document);
  }

  /** Whether it is there, without reading its manifests. */
  async exists(scope: Scope, id: string): Promise<boolean> {
    return (await this.model.exists({ ...visible(scope), _id: id })) !== null;
  }

  /** Newest first, at most `limit`, without the manifests. */
  async list(
    scope: Scope,
    filter: WorkflowFilter,
    page: { readonly cursor?: string | undefined; readonly limit: number },
  ): Promise<ListedWorkflowDocument[]> {
    return this.model
      .find({ ...visible(scope), ...toMongoFilter(filter), ...cursorFilter(page) }, LISTED)
      .sort({ _id: -1 })
      .limit(page.limit)
      .lean<ListedWorkflowDocument[]>();
  }

  /**
   * Replaces the content of an active workflow that still has the given version; null if it has another or none.
   * `newRevision`: the definition changed, not only name and labels. Throws AppError `resource.name_taken`.
   */
  async replace(
    scope: Scope,
    id: string,
    version: number,
    content: WorkflowContent,
    newRevision: boolean,
  ): Promise<StoredWorkflow | null> {
    return this.refusingTakenName(content.name, () =>
      this.update(
        { ...visible(scope), _id: id, version, state: 'active' },
        { $set: toFields(content), $inc: { version: 1, revision: newRevision ? 1 : 0 } },
      ),
    );
  }

  /** Moves a workflow from one of the given states to another; null if it is in none of them. */
  async transition(
    scope: Scope,
    id: string,
    from: readonly WorkflowState[],
    to: WorkflowState,
  ): Promise<StoredWorkflow | null> {
    return this.update(
      { ...visible(scope), _id: id, state: { $in: [...from] } },
      { $set: { state: to }, $inc: { version: 1 } },
    );
  }

  /** Hides a workflow from everybody. False if it is hidden already or not there. */
  async beginDeletion(scope: Scope, id: string): Promise<boolean> {
    const result = await this.model.updateOne({ ...visible(scope), _id: id }, { $set: { deleting: true } });
    return result.modifiedCount === 1;
  }

  /** Takes `beginDeletion` back. */
  async cancelDeletion(scope: Scope, id: string): Promise<void> {
    await this.model.updateOne({ ...tenantFilter(scope), _id: id, deleting: true }, { $set: { deleting: false } });
  }

  /** Removes a workflow whose deletion has begun. */
  async endDeletion(scope: Scope, id: string): Promise<void> {
    await this.model.deleteOne({ ...tenantFilter(scope), _id: id, deleting: true });
  }

  /** Ids of the workflows whose deletion has begun and not ended. */
  async deleting(scope: Scope): Promise<string[]> {
    const found = await this.model.find({ ...tenantFilter(scope), deleting: true }, { _id: 1 }).lean<HasId[]>();
    return found.map(({ _id }) => _id.toHexString());
  }

  /** Names by id, of those that exist. */
  async names(scope: Scope, ids: readonly string[]): Promise<Map<string, string>> {
    const found = await this.model
      .find({ ...tenantFilter(scope), _id: { $in: [...ids] } }, { name: 1 })
      .lean<Array<HasId & { name: string }>>();
    return new Map(found.map(({ _id, name }) => [_id.toHexString(), name]));
  }

  async idsOfCluster(scope: Scope, clusterId: string): Promise<string[]> {
    const found = await this.model.find({ ...tenantFilter(scope), clusterId }, { _id: 1 }).lean<HasId[]>();
    return found.map(({ _id }) => _id.toHexString());
  }

  private async update(filter: object, change: { readonly $set: object; readonly $inc: object }) {
    const $set = { ...change.$set, updatedAt: new Date(this.clock.now()) };
    const document = await this.model
      .findOneAndUpdate(filter, { ...change, $set }, { returnDocument: 'after' })
      .lean<WorkflowDocument>();
    return document === null ? null : toStoredWorkflow(document);
  }

  private async refusingTakenName<T>(name: string, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      throw new AppError('resource.name_taken', `there is a workflow ${JSON.stringify(name)} already; choose another`, {
        errors: [{ path: 'name', message: 'is taken' }],
        cause: error,
      });
    }
  }
}

interface HasId {
  readonly _id: Types.ObjectId;
}

function visible(scope: Scope): { tenantId?: string; deleting: false } {
  return { ...tenantFilter(scope), deleting: false };
}

function toMongoFilter({ name, clusterId, namespace, state, labelSelector }: WorkflowFilter): Record<string, unknown> {
  return {
    ...(name && { name: { $in: [...name] } }),
    ...(clusterId && { clusterId: { $in: clusterId.map(toObjectId) } }),
    ...(namespace && { namespace: { $in: [...namespace] } }),
    ...(state && { state: { $in: [...state] } }),
    ...labelFilter(labelSelector),
  };
}

function toFields(content: WorkflowContent) {
  return {
    name: content.name,
    labels: toStoredLabels(content.labels),
    clusterId: toObjectId(content.clusterId),
    namespace: content.namespace,
    onFailure: content.onFailure,
    nodes: content.nodes.map(({ id, manifest, timeoutMs }) => ({ id, manifest: canonicalJson(manifest), timeoutMs })),
    edges: content.edges.map(({ source, target, waitFor }) => ({ source, target, waitFor })),
  };
}

function toObjectId(id: string): Types.ObjectId {
  return new mongoose.Types.ObjectId(id);
}
