import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, type QueryFilter, Types } from 'mongoose';
import { type Scope, tenantFilter } from '../../auth/principal.js';
import { RESOURCE_HISTORY_MODEL, type ResourceHistoryDocument } from './resource-history.schema.js';

/** What became of a resource, newest first. */
@Injectable()
export class ResourceHistoryRepository {
  constructor(@InjectModel(RESOURCE_HISTORY_MODEL) private readonly model: Model<ResourceHistoryDocument>) {}

  /** Adds the entry and keeps the newest `cap` of its resource. */
  async add(entry: Omit<ResourceHistoryDocument, '_id'>, cap: number): Promise<void> {
    await this.model.create(entry);
    const { resourceId } = entry;
    const beyond = await this.model
      .find({ resourceId })
      .sort({ at: -1 })
      .skip(cap)
      .limit(100)
      .lean<Array<{ _id: Types.ObjectId }>>()
      .exec();
    if (beyond.length > 0) await this.model.deleteMany({ _id: { $in: beyond.map(({ _id }) => _id) } }).exec();
  }

  /** Newest first. */
  page(
    scope: Scope,
    resourceId: string,
    cursor: QueryFilter<ResourceHistoryDocument>,
    limit: number,
  ): Promise<ResourceHistoryDocument[]> {
    return this.model
      .find({ $and: [{ ...tenantFilter(scope), resourceId }, cursor] })
      .sort({ _id: -1 })
      .limit(limit)
      .lean<ResourceHistoryDocument[]>()
      .exec();
  }

  async remove(scope: Scope, resourceIds: readonly string[]): Promise<void> {
    await this.model.deleteMany({ ...tenantFilter(scope), resourceId: { $in: resourceIds } }).exec();
  }
}
