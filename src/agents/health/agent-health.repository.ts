import { Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import type { Connection, Types, mongo } from 'mongoose';
import { isDuplicateKey } from '../../database/index.js';
import type { AgentDocument } from '../agent.document.js';
import { AGENT_HEALTHS, type AgentHealth } from '../agent.js';
import { AgentsRepository } from '../agents.repository.js';
import type { HealthCounts, HealthRound } from './agent-verdicts.js';

type StoredRound = HealthRound & { readonly _id: 'round' };

const WATCHED: AgentHealth[] = ['unknown', 'online'];

/** What the health sweep reads and changes. */
@Injectable()
export class AgentHealthRepository {
  constructor(
    private readonly agents: AgentsRepository,
    @InjectConnection() private readonly connection: Connection,
  ) {}

  async counts(notSeenSince: Date): Promise<HealthCounts> {
    const [watched, vanished] = await Promise.all([
      this.documents.countDocuments({ status: 'active', health: { $in: WATCHED } }),
      this.documents.countDocuments(unseen(notSeenSince)),
    ]);
    return { watched, vanished };
  }

  async byHealth(): Promise<Record<AgentHealth, number>> {
    const counts = await Promise.all(
      AGENT_HEALTHS.map((health) => this.documents.countDocuments({ status: 'active', health })),
    );
    return Object.fromEntries(AGENT_HEALTHS.map((health, index) => [health, counts[index] ?? 0])) as Record<
      AgentHealth,
      number
    >;
  }

  /** Agents that were seen last before then, longest ago first. */
  async unseenSince(then: Date, limit: number): Promise<Types.ObjectId[]> {
    const found = await this.documents
      .find(unseen(then), { projection: { _id: 1 } })
      .sort({ lastSeenAt: 1 })
      .limit(limit)
      .toArray();
    return found.map(({ _id }) => _id);
  }

  /** Returns those that were: one that beats meanwhile, or was revoked, is not. */
  async markOffline(
    ids: readonly Types.ObjectId[],
    notSeenSince: Date,
    now: Date,
    sweepId: string,
  ): Promise<AgentDocument[]> {
    const change = { health: 'offline' as const, healthSince: now, sweepId };
    await this.documents.updateMany({ ...unseen(notSeenSince), _id: { $in: [...ids] } }, { $set: change });
    return this.documents.find({ _id: { $in: [...ids] }, sweepId }).toArray();
  }

  /**
   * Agents that were seen in the future, because the server's time has jumped back, were seen now. Returns how many.
   */
  async bringBack(beyond: Date, now: Date, limit: number): Promise<number> {
    const found = await this.documents
      .find({ status: 'active', health: { $in: WATCHED }, lastSeenAt: { $gt: beyond } })
      .limit(limit)
      .toArray();
    let changed = 0;
    for (const { _id, lastSeenAt } of found) {
      const { modifiedCount } = await this.documents.updateOne({ _id, lastSeenAt }, { $set: { lastSeenAt: now } });
      changed += modifiedCount;
    }
    return changed;
  }

  async lastRound(): Promise<HealthRound | null> {
    return this.rounds.findOne({ _id: 'round' });
  }

  /** False if another round was stored since `before` was read. */
  async storeRound(before: HealthRound | null, round: HealthRound): Promise<boolean> {
    if (before === null) return this.storeFirstRound(round);
    const { matchedCount } = await this.rounds.updateOne({ _id: 'round', at: before.at }, { $set: { ...round } });
    return matchedCount === 1;
  }

  private async storeFirstRound(round: HealthRound): Promise<boolean> {
    try {
      await this.rounds.insertOne({ _id: 'round', ...round });
      return true;
    } catch (error) {
      if (isDuplicateKey(error)) return false;
      throw error;
    }
  }

  private get documents(): mongo.Collection<AgentDocument> {
    return this.agents.collection;
  }

  private get rounds(): mongo.Collection<StoredRound> {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    return db.collection<StoredRound>('agent_health');
  }
}

function unseen(since: Date): mongo.Filter<AgentDocument> {
  return { status: 'active', health: { $in: WATCHED }, lastSeenAt: { $lt: since } };
}
