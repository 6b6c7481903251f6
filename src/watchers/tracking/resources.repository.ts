import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, type QueryFilter, Types } from 'mongoose';
import { type Scope, tenantFilter } from '../../auth/principal.js';
import { isDuplicateKey } from '../../database/index.js';
import type { Freshness, Health } from '../resource.js';
import type { HealthGroup } from '../resource-health.js';
import { NEEDS_FRESHNESS, shownHealth } from './resource-view.js';
import { RESOURCE_MODEL, type ResourceDocument } from './resource.schema.js';
import type { WatchedSet } from './tracked-resources.js';

/** The object of one workflow node. */
export interface NodeObject {
  readonly tenantId: string;
  readonly workflowId: string;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface ResourceFilter {
  readonly workflowId?: readonly string[] | undefined;
  readonly clusterId?: readonly string[] | undefined;
  readonly kind?: readonly string[] | undefined;
  readonly namespace?: readonly string[] | undefined;
  readonly health?: readonly Health[] | undefined;
  readonly freshness?: readonly Freshness[] | undefined;
}

export type ResourceChange = Partial<Omit<ResourceDocument, '_id' | 'version' | 'tenantId' | 'createdAt'>>;

type Filter = QueryFilter<ResourceDocument>;

/** Stored resources. Every change grows `version` by one and is conditional on what was read. */
@Injectable()
export class ResourcesRepository {
  constructor(@InjectModel(RESOURCE_MODEL) private readonly model: Model<ResourceDocument>) {}

  /** The pending resource of a node; null if the node has one already. */
  async createTracked(node: NodeObject, now: Date): Promise<ResourceDocument | null> {
    const document: ResourceDocument = {
      _id: new Types.ObjectId(),
      tenantId: node.tenantId,
      ...this.place(node),
      workflowId: new Types.ObjectId(node.workflowId),
      nodeId: node.nodeId,
      uid: null,
      health: 'pending',
      rollout: null,
      reason: null,
      message: null,
      details: {},
      children: [],
      since: now,
      previous: null,
      freshness: 'syncing',
      freshnessSince: now,
      watched: true,
      applied: null,
      observed: null,
      expectedDeletion: null,
      version: 1,
      createdAt: now,
      updatedAt: now,
      createdBy: 'crowsnest',
    };
    try {
      await this.model.create([document]);
      return document;
    } catch (error) {
      if (isDuplicateKey(error)) return null;
      throw error;
    }
  }

  /** Where a node's object is, as stored. */
  place(node: NodeObject): Pick<ResourceDocument, 'clusterId' | 'apiVersion' | 'kind' | 'namespace' | 'name'> {
    const { clusterId, apiVersion, kind, namespace, name } = node;
    return { clusterId: new Types.ObjectId(clusterId), apiVersion, kind, namespace, name };
  }

  findNode(scope: Scope, workflowId: string, nodeId: string): Promise<ResourceDocument | null> {
    return this.model
      .findOne({ ...tenantFilter(scope), workflowId, nodeId })
      .lean<ResourceDocument>()
      .exec();
  }

  find(scope: Scope, id: string): Promise<ResourceDocument | null> {
    return this.model
      .findOne({ ...tenantFilter(scope), _id: id })
      .lean<ResourceDocument>()
      .exec();
  }

  /** Changes the resource if it still has `version`; null if it has not, or is gone. */
  update(scope: Scope, id: string, version: number, change: ResourceChange): Promise<ResourceDocument | null> {
    return this.model
      .findOneAndUpdate(
        { ...tenantFilter(scope), _id: id, version },
        { $set: change, $inc: { version: 1 } },
        { returnDocument: 'after' },
      )
      .lean<ResourceDocument>()
      .exec();
  }

  /** The watched resources, of one cluster or of all. */
  findWatched(scope: Scope, clusterId?: string): Promise<ResourceDocument[]> {
    const filter: Filter = { ...tenantFilter(scope), ...(clusterId === undefined ? {} : { clusterId }), watched: true };
    return this.model.find(filter).lean<ResourceDocument[]>().exec();
  }

  ofWorkflow(scope: Scope, workflowId: string): Promise<ResourceDocument[]> {
    return this.model
      .find({ ...tenantFilter(scope), workflowId })
      .sort({ _id: 1 })
      .lean<ResourceDocument[]>()
      .exec();
  }

  /** Gives all watched resources of the set that freshness, except those of `but`; answers how many changed. */
  async setFreshness(
    scope: Scope,
    set: WatchedSet,
    freshness: Freshness,
    now: Date,
    but: readonly string[] = [],
  ): Promise<number> {
    const filter: Filter = {
      ...tenantFilter(scope),
      ...watchedIn(set),
      freshness: { $ne: freshness },
      ...(but.length === 0 ? {} : { _id: { $nin: but } }),
    };
    return this.changeFreshness(filter, freshness, now);
  }

  findSet(scope: Scope, set: WatchedSet, freshness: Freshness): Promise<ResourceDocument[]> {
    return this.model
      .find({ ...tenantFilter(scope), ...watchedIn(set), freshness })
      .lean<ResourceDocument[]>()
      .exec();
  }

  /** What was live before this start is not any more: nobody watches it yet. */
  async distrustAll(scope: Scope, now: Date): Promise<number> {
    return this.changeFreshness(
      { ...tenantFilter(scope), watched: true, freshness: { $ne: 'syncing' } },
      'syncing',
      now,
    );
  }

  /** Ends the watching of a workflow's resources, which stay as records of what was last known. */
  async unwatch(scope: Scope, workflowId: string, now: Date): Promise<number> {
    const { modifiedCount } = await this.model
      .updateMany(
        { ...tenantFilter(scope), workflowId, watched: true },
        {
          $set: { watched: false, freshness: 'stale', freshnessSince: now, updatedAt: now },
          $inc: { version: 1 },
        },
      )
      .exec();
    return modifiedCount;
  }

  async remove(scope: Scope, workflowId: string): Promise<number> {
    const { deletedCount } = await this.model.deleteMany({ ...tenantFilter(scope), workflowId }).exec();
    return deletedCount;
  }

  /** Newest first; `before` is the id of the last one seen. */
  page(scope: Scope, filter: ResourceFilter, cursor: Filter, limit: number): Promise<ResourceDocument[]> {
    const conditions: Filter = { ...tenantFilter(scope), $and: [cursor, healthFilter(filter.health)] };
    for (const field of ['workflowId', 'clusterId', 'kind', 'namespace', 'freshness'] as const) {
      const values = filter[field];
      if (values !== undefined) Object.assign(conditions, { [field]: { $in: values } });
    }
    return this.model.find(conditions).sort({ _id: -1 }).limit(limit).lean<ResourceDocument[]>().exec();
  }

  /** Resources of each workflow by the health that is shown. */
  async healthGroups(scope: Scope, workflowIds: readonly string[]): Promise<Map<string, HealthGroup[]>> {
    interface Row {
      readonly _id: { readonly workflowId: Types.ObjectId; readonly health: Health; readonly freshness: Freshness };
      readonly count: number;
      readonly firstSince: Date;
      readonly lastSince: Date;
      readonly firstFreshness: Date;
      readonly lastFreshness: Date;
    }
    const rows = await this.model
      .aggregate<Row>([
        { $match: { ...tenantFilter(scope), workflowId: { $in: workflowIds.map((id) => new Types.ObjectId(id)) } } },
        {
          $group: {
            _id: { workflowId: '$workflowId', health: '$health', freshness: '$freshness' },
            count: { $sum: 1 },
            firstSince: { $min: '$since' },
            lastSince: { $max: '$since' },
            firstFreshness: { $min: '$freshnessSince' },
            lastFreshness: { $max: '$freshnessSince' },
          },
        },
      ])
      .exec();
    const groups = new Map<string, HealthGroup[]>(workflowIds.map((id) => [id, []]));
    for (const { _id: key, count, ...times } of rows) {
      const health = shownHealth(key.health, key.freshness);
      const hidden = health !== key.health;
      groups.get(key.workflowId.toString())?.push({
        health,
        count,
        firstSince: hidden ? times.firstFreshness : times.firstSince,
        lastSince: hidden ? times.lastFreshness : times.lastSince,
      });
    }
    return groups;
  }

  private async changeFreshness(filter: Filter, freshness: Freshness, now: Date): Promise<number> {
    const { modifiedCount } = await this.model
      .updateMany(filter, { $set: { freshness, freshnessSince: now, updatedAt: now }, $inc: { version: 1 } })
      .exec();
    return modifiedCount;
  }
}

function watchedIn({ clusterId, kind, namespace }: WatchedSet): Filter {
  return { clusterId, kind, namespace, watched: true };
}

/** By what is shown, not by what is stored: see `shownHealth`. */
function healthFilter(healths: readonly Health[] | undefined): Filter {
  if (healths === undefined) return {};
  const always = healths.filter((health) => !NEEDS_FRESHNESS.includes(health));
  const onlyLive = healths.filter((health) => NEEDS_FRESHNESS.includes(health));
  const any: Filter[] = [{ health: { $in: always } }, { health: { $in: onlyLive }, freshness: 'live' }];
  if (healths.includes('unknown')) any.push({ health: { $in: [...NEEDS_FRESHNESS] }, freshness: { $ne: 'live' } });
  return { $or: any };
}
