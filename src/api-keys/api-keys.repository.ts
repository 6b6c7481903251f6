import { Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import { type Connection, Types, type mongo } from 'mongoose';
import { type Scope, tenantFilter } from '../auth/index.js';
import { isDuplicateKey } from '../database/index.js';
import { cursorFilter } from '../http/index.js';
import type { ApiKeyDocument } from './api-key.document.js';
import type { ListApiKeysQuery } from './api-keys.dto.js';

@Injectable()
export class ApiKeysRepository {
  constructor(@InjectConnection() private readonly connection: Connection) {}

  /** False if the tenant has a key of that name. */
  async insert(key: ApiKeyDocument): Promise<boolean> {
    try {
      await this.collection.insertOne(key);
      return true;
    } catch (error) {
      if (isDuplicateKey(error)) return false;
      throw error;
    }
  }

  /** Of whichever tenant: for the guard, which does not know yet who is calling. */
  findById(id: Types.ObjectId): Promise<ApiKeyDocument | null> {
    return this.collection.findOne({ _id: id });
  }

  /**
   * The same by the digest of its secret. An index finds nothing for a wrong secret, whether there is a key of the id
   * that came with it or not: time does not tell.
   */
  findByDigest(digest: string): Promise<ApiKeyDocument | null> {
    return this.collection.findOne({ digest });
  }

  find(scope: Scope, id: string): Promise<ApiKeyDocument | null> {
    return this.collection.findOne({ ...tenantFilter(scope), _id: new Types.ObjectId(id) });
  }

  /** Newest first; one more than the limit where there is a next page. */
  list(scope: Scope, query: ListApiKeysQuery): Promise<ApiKeyDocument[]> {
    const filter = {
      $and: [
        tenantFilter(scope),
        cursorFilter(query),
        query.name === undefined ? {} : { name: { $in: query.name } },
        query.tenantId === undefined ? {} : { tenantId: { $in: query.tenantId } },
      ],
    };
    return this.collection
      .find(filter)
      .sort({ _id: -1 })
      .limit(query.limit + 1)
      .toArray();
  }

  /** Changes nothing if somebody has marked it since it was read. */
  async markUsed({ _id, lastUsedAt }: ApiKeyDocument, at: Date): Promise<void> {
    await this.collection.updateOne({ _id, lastUsedAt }, { $set: { lastUsedAt: at } });
  }

  /** What was removed; null if it is not there. */
  delete(scope: Scope, id: string): Promise<ApiKeyDocument | null> {
    return this.collection.findOneAndDelete({ ...tenantFilter(scope), _id: new Types.ObjectId(id) });
  }

  async deleteOfTenant(tenantId: string): Promise<void> {
    await this.collection.deleteMany({ tenantId });
  }

  private get collection(): mongo.Collection<ApiKeyDocument> {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    return db.collection<ApiKeyDocument>('api_keys');
  }
}
