import { Inject, Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import type { Model } from 'mongoose';
import { type Scope, tenantFilter } from '../../auth/principal.js';
import { isDuplicateKey } from '../../database/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import type { InventoryEntry, LastApply, ObjectKey, ObjectOrigin } from './inventory-entry.js';
import { type InventoryEntryDocument, toInventoryEntry } from './inventory-entry.schema.js';

/** An object that a node is about to apply. */
export interface Claim extends ObjectKey {
  readonly tenantId: string;
  readonly workflowId: string;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly version: string;
  readonly revision: number;
}

export type ClaimResult =
  | { readonly claimed: true; readonly entry: InventoryEntry }
  /** Another workflow holds the object. */
  | { readonly claimed: false; readonly holder: InventoryEntry };

/** Releases between the refusal of a claim and the look at its holder, before we stop believing in chance. */
const MAX_ATTEMPTS = 5;

/** Which object belongs to which workflow. The unique index over the object decides between two that want one. */
@Injectable()
export class InventoryRepository {
  constructor(
    @InjectModel('InventoryEntry') private readonly model: Model<InventoryEntryDocument>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Written before each apply. Takes a free object, or renews the claim on one that the workflow has; keeps its UID. */
  async claim(claim: Claim): Promise<ClaimResult> {
    const { clusterId, group, kind, namespace, name } = claim;
    const object = { clusterId, group, kind, namespace, name };
    for (let attempt = 1; ; attempt += 1) {
      const entry = await this.upsertOwn(object, claim);
      if (entry !== null) return { claimed: true, entry: toInventoryEntry(entry) };
      const holder = await this.model.findOne(object).lean<InventoryEntryDocument>();
      if (holder !== null && holder.workflowId.toHexString() !== claim.workflowId) {
        return { claimed: false, holder: toInventoryEntry(holder) };
      }
      if (attempt === MAX_ATTEMPTS) throw new Error(`the claim of ${kind} ${namespace}/${name} kept being raced`);
    }
  }

  /** null when the unique index refused it: somebody has the object. */
  private async upsertOwn(object: object, claim: Claim): Promise<InventoryEntryDocument | null> {
    const { tenantId, workflowId, nodeId, version, revision } = claim;
    try {
      return await this.model
        .findOneAndUpdate(
          { ...object, workflowId },
          {
            $set: { tenantId, nodeId, version, revision, claimedAt: new Date(this.clock.now()) },
            $setOnInsert: { uid: null, origin: null, appliedAt: null, manifestHash: null, lastApply: null },
          },
          { upsert: true, returnDocument: 'after' },
        )
        .lean<InventoryEntryDocument>();
    } catch (error) {
      if (isDuplicateKey(error)) return null;
      throw error;
    }
  }

  /** What the API server answered. Of an object with the UID known already the origin stays: who made it does not change. */
  async recordUid(scope: Scope, entryId: string, uid: string, origin: ObjectOrigin): Promise<void> {
    const appliedAt = new Date(this.clock.now());
    const filter = { ...tenantFilter(scope), _id: entryId };
    const known = await this.model.updateOne({ ...filter, uid }, { $set: { appliedAt } });
    if (known.matchedCount > 0) return;
    await this.model.updateOne({ ...filter, uid: { $ne: uid } }, { $set: { uid, origin, appliedAt } });
  }

  /** What an apply came to, in one write. The run of the workflow knows the entry, so it says the origin. */
  async recordApply(
    scope: Scope,
    entryId: string,
    applied: Required<Pick<InventoryEntry, 'uid' | 'origin' | 'manifestHash'>> & { readonly lastApply: LastApply },
  ): Promise<void> {
    const appliedAt = new Date(this.clock.now());
    await this.model.updateOne({ ...tenantFilter(scope), _id: entryId }, { $set: { ...applied, appliedAt } });
  }

  /** The object with the known UID is gone and another is about to be created in its place. */
  async expectCreation(scope: Scope, entryId: string): Promise<void> {
    await this.model.updateOne({ ...tenantFilter(scope), _id: entryId }, { $set: { uid: null, origin: null } });
  }

  async find(scope: Scope, entryId: string): Promise<InventoryEntry | null> {
    const document = await this.model.findOne({ ...tenantFilter(scope), _id: entryId }).lean<InventoryEntryDocument>();
    return document === null ? null : toInventoryEntry(document);
  }

  /** The object is gone, or was never ours. With a UID: only while the entry is about that one (null: about none yet). */
  async release(scope: Scope, entryId: string, uid?: string | null): Promise<void> {
    await this.model.deleteOne({ ...tenantFilter(scope), _id: entryId, ...(uid !== undefined && { uid }) });
  }

  async releaseWorkflow(scope: Scope, workflowId: string): Promise<void> {
    await this.model.deleteMany({ ...tenantFilter(scope), workflowId });
  }

  async releaseCluster(scope: Scope, clusterId: string): Promise<void> {
    await this.model.deleteMany({ ...tenantFilter(scope), clusterId });
  }

  async ofWorkflow(scope: Scope, workflowId: string): Promise<InventoryEntry[]> {
    return this.findAll({ ...tenantFilter(scope), workflowId });
  }

  async ofCluster(scope: Scope, clusterId: string): Promise<InventoryEntry[]> {
    return this.findAll({ ...tenantFilter(scope), clusterId });
  }

  /** Those of the given objects that other workflows hold. */
  async heldByOthers(
    scope: Scope,
    workflow: { readonly id: string; readonly clusterId: string },
    objects: readonly ObjectKey[],
  ): Promise<InventoryEntry[]> {
    if (objects.length === 0) return [];
    const keys = objects.map(({ group, kind, namespace, name }) => ({ group, kind, namespace, name }));
    return this.findAll({
      ...tenantFilter(scope),
      clusterId: workflow.clusterId,
      workflowId: { $ne: workflow.id },
      $or: keys,
    });
  }

  private async findAll(filter: object): Promise<InventoryEntry[]> {
    const documents = await this.model.find(filter).sort({ _id: 1 }).lean<InventoryEntryDocument[]>();
    return documents.map(toInventoryEntry);
  }
}
