import { Inject, Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import { type Connection, Types, type mongo } from 'mongoose';
import { ALL_TENANTS, type Scope } from '../auth/principal.js';
import { SERVER_TIME, type ServerTime, isDuplicateKey } from '../database/index.js';
import { type Requirement, labelFilter } from '../http/label-selector.js';
import { cursorFilter } from '../http/page.js';
import type { TenantDocument } from './tenant.document.js';

export interface TenantListQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly name?: readonly string[] | undefined;
  readonly plan?: readonly string[] | undefined;
  readonly labelSelector?: readonly Requirement[] | undefined;
}

export type TenantChange = Partial<Pick<TenantDocument, 'plan' | 'labels' | 'limits'>>;

const DELETION_HOLDS_MS = 60_000;

/** A tenant sees itself only. */
function tenantScope(scope: Scope): { name?: string } {
  return scope.tenantId === ALL_TENANTS ? {} : { name: scope.tenantId };
}

@Injectable()
export class TenantsRepository {
  constructor(
    @InjectConnection() private readonly connection: Connection,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
  ) {}

  /** False if the name is taken. */
  async insert(tenant: TenantDocument): Promise<boolean> {
    try {
      await this.collection.insertOne(tenant);
      return true;
    } catch (error) {
      if (isDuplicateKey(error)) return false;
      throw error;
    }
  }

  find(scope: Scope, id: string): Promise<TenantDocument | null> {
    return this.collection.findOne({ ...tenantScope(scope), _id: new Types.ObjectId(id) });
  }

  findByName(name: string): Promise<TenantDocument | null> {
    return this.collection.findOne({ name });
  }

  /** Newest first; one more than the limit where there is a next page. */
  list(scope: Scope, query: TenantListQuery): Promise<TenantDocument[]> {
    const filter = {
      $and: [
        tenantScope(scope),
        cursorFilter(query),
        query.name === undefined ? {} : { name: { $in: [...query.name] } },
        query.plan === undefined ? {} : { plan: { $in: [...query.plan] } },
        labelFilter(query.labelSelector),
      ],
    };
    return this.collection
      .find(filter)
      .sort({ _id: -1 })
      .limit(query.limit + 1)
      .toArray();
  }

  /** In the order of their names, after the name given: for walks over all of them. */
  namesAfter(name: string, limit: number): Promise<TenantDocument[]> {
    return this.collection
      .find({ name: { $gt: name } })
      .sort({ name: 1 })
      .limit(limit)
      .toArray();
  }

  /** In the order of their names, from the name given. */
  namesFrom(name: string, limit: number): Promise<TenantDocument[]> {
    return this.collection
      .find({ name: { $gte: name } })
      .sort({ name: 1 })
      .limit(limit)
      .toArray();
  }

  ofNames(names: readonly string[]): Promise<TenantDocument[]> {
    return this.collection.find({ name: { $in: [...names] } }).toArray();
  }

  /** Null unless the tenant has this version. */
  update(id: string, version: number, change: TenantChange, updatedAt: Date): Promise<TenantDocument | null> {
    return this.collection.findOneAndUpdate(
      { _id: new Types.ObjectId(id), version },
      { $set: { ...change, updatedAt }, $inc: { version: 1 } },
      { returnDocument: 'after' },
    );
  }

  /** From now on `isDeleting` is told of it. Null if there is no such tenant. */
  beginDeletion(id: string): Promise<TenantDocument | null> {
    const { now } = this.time;
    const change = { deletingUntil: { $add: [now, DELETION_HOLDS_MS] } };
    return this.collection.findOneAndUpdate({ _id: new Types.ObjectId(id) }, [{ $set: change }], {
      returnDocument: 'after',
    });
  }

  async endDeletion(tenant: TenantDocument, isDeleted: boolean): Promise<void> {
    const { _id, deletingUntil } = tenant;
    if (isDeleted) await this.collection.deleteOne({ _id, deletingUntil });
    else await this.collection.updateOne({ _id, deletingUntil }, { $set: { deletingUntil: null } });
  }

  /** False also while it is being deleted, by the server's time. */
  async exists(name: string, at?: Date): Promise<boolean> {
    const tenant = await this.collection.findOne({ name }, { projection: { deletingUntil: 1 } });
    return tenant !== null && !isDeleting(tenant, at ?? (await this.time.read()));
  }

  /** False if its plan has changed meanwhile. */
  async markRanked(tenant: Pick<TenantDocument, '_id' | 'plan'>, rankedAs: string): Promise<boolean> {
    const { _id, plan } = tenant;
    const { matchedCount } = await this.collection.updateOne({ _id, plan }, { $set: { rankedAs } });
    return matchedCount === 1;
  }

  get collection(): mongo.Collection<TenantDocument> {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    return db.collection<TenantDocument>('tenants');
  }
}

export function isDeleting({ deletingUntil }: Pick<TenantDocument, 'deletingUntil'>, now: Date): boolean {
  return deletingUntil !== null && deletingUntil > now;
}
