import { Inject, Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import { type Connection, Types, type mongo } from 'mongoose';
import { type Scope, readCredential, secretDigest, tenantFilter } from '../../auth/index.js';
import { SERVER_TIME, type ServerTime } from '../../database/index.js';
import { cursorFilter } from '../../http/index.js';
import type { BootstrapTokenDocument, StoredRegistration } from './bootstrap-token.document.js';
import type { ListBootstrapTokensQuery } from './bootstrap-tokens.dto.js';

export const TOKEN_PREFIX = 'cbt';
const KEY_ID = /^[0-9a-f]{24}$/;

@Injectable()
export class BootstrapTokensRepository {
  constructor(
    @InjectConnection() private readonly connection: Connection,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
  ) {}

  async insert(token: BootstrapTokenDocument): Promise<void> {
    await this.collection.insertOne(token);
  }

  /** The token that somebody sends, whether it still holds or not; null if there is none with that secret. */
  async prove(text: string): Promise<BootstrapTokenDocument | null> {
    const sent = readCredential(TOKEN_PREFIX, text);
    if (!sent || !KEY_ID.test(sent.keyId)) return null;
    const token = await this.collection.findOne({ digest: secretDigest(sent.secret) });
    return token?._id.toHexString() === sent.keyId ? token : null;
  }

  findById(id: Types.ObjectId): Promise<BootstrapTokenDocument | null> {
    return this.collection.findOne({ _id: id });
  }

  find(scope: Scope, id: string): Promise<BootstrapTokenDocument | null> {
    return this.collection.findOne({ ...tenantFilter(scope), _id: new Types.ObjectId(id) });
  }

  /** Newest first; one more than the limit where there is a next page. */
  list(scope: Scope, query: ListBootstrapTokensQuery): Promise<BootstrapTokenDocument[]> {
    return this.collection
      .find({ $and: [tenantFilter(scope), cursorFilter(query)] })
      .sort({ _id: -1 })
      .limit(query.limit + 1)
      .toArray();
  }

  /** Takes one of its uses, once for each request. False if it has none left, or does not hold any more. */
  async use(id: Types.ObjectId, registration: StoredRegistration, now: Date): Promise<boolean> {
    const filter = {
      _id: id,
      remainingUses: { $gt: 0 },
      revokedAt: null,
      expiresAt: { $gt: now },
      'registrations.requestKey': { $ne: registration.requestKey },
    };
    const endsAt = { $cond: [{ $eq: ['$remainingUses', 1] }, this.time.now, '$endsAt'] };
    const change = {
      remainingUses: { $subtract: ['$remainingUses', 1] },
      registrations: { $concatArrays: ['$registrations', [registration]] },
      endsAt,
    };
    return (await this.collection.findOneAndUpdate(filter, [{ $set: change }])) !== null;
  }

  /** The use came to nothing. */
  async giveBack(id: Types.ObjectId, requestKey: string): Promise<void> {
    const filter = { _id: id, 'registrations.requestKey': requestKey };
    const others = { $ne: ['$$each.requestKey', requestKey] };
    const change = {
      remainingUses: { $add: ['$remainingUses', 1] },
      registrations: { $filter: { input: '$registrations', as: 'each', cond: others } },
      endsAt: { $ifNull: ['$revokedAt', '$expiresAt'] },
    };
    await this.collection.findOneAndUpdate(filter, [{ $set: change }]);
  }

  /** From now on a repeated registration of the agent needs a use of its own. */
  async forgetAgent(id: Types.ObjectId, agentId: string): Promise<void> {
    const removed = { registrations: { agentId: new Types.ObjectId(agentId) } };
    await this.collection.updateOne({ _id: id }, { $pull: removed });
  }

  /** Null if there is no such token; changes nothing the second time. */
  async revoke(scope: Scope, id: string): Promise<BootstrapTokenDocument | null> {
    const { now } = this.time;
    const change = { revokedAt: { $ifNull: ['$revokedAt', now] }, endsAt: { $min: ['$endsAt', now] } };
    const filter = { ...tenantFilter(scope), _id: new Types.ObjectId(id) };
    return this.collection.findOneAndUpdate(filter, [{ $set: change }], { returnDocument: 'after' });
  }

  async remove(id: Types.ObjectId): Promise<void> {
    await this.collection.deleteOne({ _id: id });
  }

  async deleteOfTenant(tenantId: string): Promise<void> {
    await this.collection.deleteMany({ tenantId });
  }

  /** Removes up to `limit` tokens that ended before then. */
  async deleteEnded(before: Date, limit: number): Promise<{ readonly read: number; readonly removed: number }> {
    const ended = { endsAt: { $lt: before } };
    const found = await this.collection
      .find(ended, { projection: { _id: 1 } })
      .sort({ endsAt: 1 })
      .limit(limit)
      .toArray();
    if (found.length === 0) return { read: 0, removed: 0 };
    const { deletedCount } = await this.collection.deleteMany({ ...ended, _id: { $in: found.map(({ _id }) => _id) } });
    return { read: found.length, removed: deletedCount };
  }

  private get collection(): mongo.Collection<BootstrapTokenDocument> {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    return db.collection<BootstrapTokenDocument>('bootstrap_tokens');
  }
}
