import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type Scope, tenantFilter } from '../auth/principal.js';
import { isDuplicateKey } from '../database/index.js';
import type { Requirement } from '../http/label-selector.js';
import { labelFilter } from '../http/label-selector.js';
import { cursorFilter } from '../http/page.js';
import type { ClusterDocument, StoredAccess, StoredHealth } from './cluster.schema.js';

export interface ClusterListQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly name?: readonly string[] | undefined;
  readonly reachable?: boolean | undefined;
  readonly labelSelector?: readonly Requirement[] | undefined;
}

/** What a user changes. Endpoint and credential come together with the health that a check of them found. */
export type ClusterChange = Partial<Pick<ClusterDocument, 'name' | 'labels' | 'namespaces'>> &
  Partial<StoredAccess> &
  Partial<StoredHealth>;

/** Which state of a cluster a check has looked at: its result belongs to no other. */
export interface CheckGuard {
  readonly accessVersion: number;
  readonly namespaces: readonly string[] | null;
}

/** A unique index refused a write: a cluster with this name, UID or endpoint exists in the tenant. */
export class ClusterTaken extends Error {
  constructor(cause: unknown) {
    super('another cluster of the tenant has the same name, UID or endpoint', { cause });
    this.name = 'ClusterTaken';
  }
}

@Injectable()
export class ClustersRepository {
  constructor(@InjectModel('Cluster') private readonly model: Model<ClusterDocument>) {}

  /** @throws ClusterTaken */
  async insert(cluster: ClusterDocument): Promise<void> {
    await refuseTaken(async () => this.model.create([cluster]));
  }

  find(scope: Scope, id: string): Promise<ClusterDocument | null> {
    return this.model.findOne({ _id: new Types.ObjectId(id), ...tenantFilter(scope) }).lean<ClusterDocument>();
  }

  /** Newest first; one more than the limit where there is a next page. */
  list(scope: Scope, query: ClusterListQuery): Promise<ClusterDocument[]> {
    const filter = {
      ...tenantFilter(scope),
      ...cursorFilter(query),
      ...(query.name === undefined ? {} : { name: { $in: query.name } }),
      ...(query.reachable === undefined ? {} : { reachable: query.reachable }),
      ...labelFilter(query.labelSelector),
    };
    return this.model
      .find(filter)
      .sort({ _id: -1 })
      .limit(query.limit + 1)
      .lean<ClusterDocument[]>();
  }

  /** For metrics. */
  newestStates(limit: number): Promise<Array<Pick<ClusterDocument, 'tenantId' | 'name' | 'reachable'>>> {
    return this.model.find({}, { tenantId: 1, name: 1, reachable: 1 }).sort({ _id: -1 }).limit(limit).lean();
  }

  /** Those that worked last time first, so that they never wait behind the deadlines of those that do not. */
  async idsInCheckOrder(scope: Scope): Promise<string[]> {
    const found = await this.model
      .find(tenantFilter(scope), { reachable: 1 })
      .lean<Array<Pick<ClusterDocument, '_id' | 'reachable'>>>();
    return found
      .toSorted((a, b) => Number(a.reachable === false) - Number(b.reachable === false))
      .map(({ _id }) => _id.toHexString());
  }

  /** A cluster of the tenant with one of these marks, other than `exceptId`. */
  findTwin(
    tenantId: string,
    mark: { readonly name: string } | { readonly uid: string } | { readonly endpointKey: string },
    exceptId?: string,
  ): Promise<ClusterDocument | null> {
    const except = exceptId === undefined ? {} : { _id: { $ne: new Types.ObjectId(exceptId) } };
    return this.model.findOne({ tenantId, ...mark, ...except }).lean<ClusterDocument>();
  }

  /** Null unless the cluster is in the scope and has this version. @throws ClusterTaken */
  update(
    scope: Scope,
    id: string,
    version: number,
    change: ClusterChange,
    updatedAt: Date,
  ): Promise<ClusterDocument | null> {
    return refuseTaken(() =>
      this.model
        .findOneAndUpdate(
          { _id: new Types.ObjectId(id), ...tenantFilter(scope), version },
          { $set: { ...change, updatedAt }, $inc: { version: 1, sequence: 1 } },
          { returnDocument: 'after' },
        )
        .lean<ClusterDocument>(),
    );
  }

  /** Null when the cluster has gone, has changed meanwhile, or a newer check was written. @throws ClusterTaken */
  recordCheck(id: string, guard: CheckGuard, health: Partial<StoredHealth>): Promise<ClusterDocument | null> {
    const filter: Record<string, unknown> = {
      _id: new Types.ObjectId(id),
      accessVersion: guard.accessVersion,
      namespaces: guard.namespaces,
      $or: [{ checkedAt: null }, { checkedAt: { $lte: health.checkedAt } }],
    };
    return refuseTaken(() =>
      this.model
        .findOneAndUpdate(filter, { $set: health, $inc: { sequence: 1 } }, { returnDocument: 'after' })
        .lean<ClusterDocument>(),
    );
  }

  delete(scope: Scope, id: string): Promise<ClusterDocument | null> {
    return this.model.findOneAndDelete({ _id: new Types.ObjectId(id), ...tenantFilter(scope) }).lean<ClusterDocument>();
  }
}

async function refuseTaken<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (isDuplicateKey(error)) throw new ClusterTaken(error);
    throw error;
  }
}
