import { Inject, Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import { type Connection, Types, type mongo } from 'mongoose';
import { type Scope, tenantFilter } from '../auth/index.js';
import { SERVER_TIME, type ServerTime, isDuplicateKey } from '../database/index.js';
import { cursorFilter, labelFilter } from '../http/index.js';
import type { AgentDocument } from './agent.document.js';
import type { ListAgentsQuery } from './agents.dto.js';

/** What admins change. */
export type AgentChange = Partial<
  Pick<AgentDocument, 'labels' | 'schedulable' | 'status' | 'credentials' | 'health' | 'healthSince'>
>;

export type ProvenAgent = Pick<AgentDocument, '_id' | 'tenantId' | 'status' | 'credentials'>;

/** What a heartbeat tells of its agent; what it does not tell stays. */
export interface AgentReport {
  readonly load?: number | undefined;
  readonly agentVersion?: string | undefined;
}

@Injectable()
export class AgentsRepository {
  constructor(
    @InjectConnection() private readonly connection: Connection,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
  ) {}

  /** False if its id or its name is taken. */
  async insert(agent: AgentDocument): Promise<boolean> {
    try {
      await this.collection.insertOne(agent);
      return true;
    } catch (error) {
      if (isDuplicateKey(error)) return false;
      throw error;
    }
  }

  find(scope: Scope, id: string): Promise<AgentDocument | null> {
    return this.collection.findOne({ ...tenantFilter(scope), _id: new Types.ObjectId(id) });
  }

  /** Of whichever tenant: for who does not know yet which one. */
  findById(id: Types.ObjectId): Promise<AgentDocument | null> {
    return this.collection.findOne({ _id: id });
  }

  /**
   * Whose secret has this digest, with what a credential is judged by. An index finds nothing for a wrong secret, whether
   * there is an agent of the id that came with it or not: time does not tell.
   */
  findByDigest(digest: string): Promise<ProvenAgent | null> {
    const projection = { tenantId: 1, status: 1, credentials: 1 };
    return this.collection.findOne<ProvenAgent>({ 'credentials.digest': digest }, { projection });
  }

  async hasName(tenantId: string, name: string): Promise<boolean> {
    return (await this.collection.findOne({ tenantId, name }, { projection: { _id: 1 } })) !== null;
  }

  ofIds(ids: readonly string[]): Promise<AgentDocument[]> {
    return this.collection.find({ _id: { $in: ids.map((id) => new Types.ObjectId(id)) } }).toArray();
  }

  /** Newest first; one more than the limit where there is a next page. */
  list(scope: Scope, query: ListAgentsQuery): Promise<AgentDocument[]> {
    const filter = {
      $and: [
        tenantFilter(scope),
        cursorFilter(query),
        labelFilter(query.labelSelector),
        ...(['name', 'tenantId', 'health', 'status'] as const).map((field) =>
          query[field] === undefined ? {} : { [field]: { $in: query[field] } },
        ),
      ],
    };
    return this.collection
      .find(filter as mongo.Filter<AgentDocument>)
      .sort({ _id: -1 })
      .limit(query.limit + 1)
      .toArray();
  }

  /** Null unless the agent has this version. */
  update(id: Types.ObjectId, version: number, change: AgentChange, now: Date): Promise<AgentDocument | null> {
    return this.collection.findOneAndUpdate(
      { _id: id, version },
      { $set: { ...change, updatedAt: now }, $inc: { version: 1 } },
      { returnDocument: 'after' },
    );
  }

  /**
   * A sign of life. Touches only what is its own, and an agent that was revoked meanwhile not at all: then null.
   */
  markSeen(id: string, { load, agentVersion }: AgentReport = {}): Promise<AgentDocument | null> {
    const { now } = this.time;
    const change = {
      lastSeenAt: now,
      healthSince: { $cond: [{ $eq: ['$health', 'online'] }, '$healthSince', now] },
      health: 'online',
      ...(load === undefined ? {} : { load }),
      ...(agentVersion === undefined ? {} : { agentVersion: { $literal: agentVersion } }),
    };
    return this.collection.findOneAndUpdate({ _id: new Types.ObjectId(id), status: 'active' }, [{ $set: change }], {
      returnDocument: 'after',
    });
  }

  async markCredentialUsed(id: Types.ObjectId, keyId: string, at: Date): Promise<void> {
    const credential = { $elemMatch: { keyId, firstUsedAt: null } };
    await this.collection.updateOne(
      { _id: id, credentials: credential },
      { $set: { 'credentials.$.firstUsedAt': at } },
    );
  }

  /** What was removed; null if it is not there. */
  delete(scope: Scope, id: string): Promise<AgentDocument | null> {
    return this.collection.findOneAndDelete({ ...tenantFilter(scope), _id: new Types.ObjectId(id) });
  }

  async deleteOfTenant(tenantId: string): Promise<void> {
    await this.collection.deleteMany({ tenantId });
  }

  get collection(): mongo.Collection<AgentDocument> {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    return db.collection<AgentDocument>('agents');
  }
}
