import type { HistoryNote } from './observation.js';
import type { ResourceHistoryRepository } from './resource-history.repository.js';
import type { ResourceHistoryDocument } from './resource-history.schema.js';
import type { ResourceDocument } from './resource.schema.js';

type HistoryEntry = Omit<ResourceHistoryDocument, '_id'>;

/** History entries of one resource that wait for a failing database; the oldest go first. */
const MAX_OWED = 20;

export interface HistoryLimits {
  readonly historyRetentionMs: number;
  readonly historyPerResource: number;
}

/** History entries of states that are stored already: the entries of a resource in their order, none of them twice. */
export class OwedHistory {
  private readonly owed = new Map<string, HistoryEntry[]>();

  constructor(
    private readonly history: Pick<ResourceHistoryRepository, 'add'>,
    private readonly limits: HistoryLimits,
  ) {}

  owe(stored: ResourceDocument, note: HistoryNote): void {
    const id = stored._id.toString();
    const owed = this.owed.get(id) ?? [];
    owed.push({
      tenantId: stored.tenantId,
      resourceId: stored._id,
      at: stored.updatedAt,
      uid: stored.uid,
      health: stored.health,
      previous: stored.previous,
      rollout: stored.rollout,
      reason: note.reason,
      message: note.message,
      resourceRevision: stored.version,
      expiresAt: new Date(stored.updatedAt.getTime() + this.limits.historyRetentionMs),
    });
    this.owed.set(id, owed.slice(-MAX_OWED));
  }

  /** Stores what is owed of a resource. What the database refuses stays owed. */
  async pay(id: string): Promise<void> {
    for (let owed = this.owed.get(id); owed?.[0]; owed = this.owed.get(id)) {
      await this.history.add(owed[0], this.limits.historyPerResource);
      owed.shift();
      if (owed.length === 0) this.owed.delete(id);
    }
  }
}
