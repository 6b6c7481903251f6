import { Injectable } from '@nestjs/common';
import type { Types, mongo } from 'mongoose';
import { isDuplicateKey } from '../database/index.js';
import type { AuditAnchor, AuditHead, AuditSegment } from './audit-chain.js';
import { AuditCollections, MAJORITY } from './audit-collections.js';
import type { AuditRow } from './audit-row.js';

/** Rows that the driver hands over at a time: bounds how long one turn of the event loop takes. */
const BATCH = 500;

/** Segments, head and anchors, and the rows as seals see them. */
@Injectable()
export class AuditSegmentsRepository {
  constructor(private readonly collections: AuditCollections) {}

  find(segment: number): Promise<AuditSegment | null> {
    return this.segments.findOne({ _id: segment });
  }

  newest(): Promise<AuditSegment | null> {
    return this.segments.findOne({}, { sort: { _id: -1 } });
  }

  /** From `from` to `to`, both included, ascending. */
  range(from: number, to: number, limit: number): Promise<AuditSegment[]> {
    return this.segments
      .find({ _id: { $gte: from, $lte: to } })
      .sort({ _id: 1 })
      .limit(limit)
      .toArray();
  }

  /** False when there is one of that number: another process was first. */
  async insert(segment: AuditSegment): Promise<boolean> {
    return inserted(this.segments.insertOne(segment, MAJORITY));
  }

  /** Marks those rows that are in no segment. */
  async mark(segment: number, ids: readonly Types.ObjectId[]): Promise<void> {
    await this.collections.rows.updateMany({ _id: { $in: [...ids] }, segment: null }, { $set: { segment } }, MAJORITY);
  }

  async settle(segment: number): Promise<void> {
    await this.segments.updateOne({ _id: segment }, { $set: { pending: null } }, MAJORITY);
  }

  head(): Promise<AuditHead | null> {
    return this.heads.findOne({ _id: 'head' });
  }

  /** Never goes back. */
  async advanceHead({ _id, ...head }: AuditHead): Promise<void> {
    const advanced = this.heads.updateOne(
      { _id, segment: { $lt: head.segment } },
      { $set: head },
      { upsert: true, ...MAJORITY },
    );
    // The upsert of one that is further already.
    await inserted(advanced);
  }

  newestAnchor(): Promise<AuditAnchor | null> {
    return this.anchors.findOne({}, { sort: { _id: -1 } });
  }

  /** False when there is one for that segment. */
  async insertAnchor(anchor: AuditAnchor): Promise<boolean> {
    return inserted(this.anchors.insertOne(anchor, MAJORITY));
  }

  unsealed(limit = 0): AsyncIterable<AuditRow> {
    return this.collections.rows.find({ segment: null }).sort({ segment: 1, _id: 1 }).limit(limit).batchSize(BATCH);
  }

  /** Rows marked with one of these segments, and with what lies between two numbers, in their order. */
  rowsOf(from: number, to: number): AsyncIterable<AuditRow> {
    return this.collections.rows
      .find({ segment: { $gte: from, $lt: to + 1 } })
      .sort({ segment: 1, _id: 1 })
      .batchSize(BATCH);
  }

  /** In the order of ids. */
  rowsById(ids: readonly Types.ObjectId[]): AsyncIterable<AuditRow> {
    return this.collections.rows
      .find({ _id: { $in: [...ids] } })
      .sort({ _id: 1 })
      .batchSize(BATCH);
  }

  /** The highest mark of a row in the order of BSON, in which texts and all else come after numbers; null without. */
  async highestMark(): Promise<unknown> {
    const row = await this.collections.rows.findOne({}, { sort: { segment: -1, _id: -1 } });
    return row?.segment ?? null;
  }

  /** A row whose mark is lower than any number of a segment. */
  async withImpossibleMark(): Promise<AuditRow | null> {
    return this.collections.rows.findOne({ segment: { $lt: 1 } });
  }

  /** Ids of rows in segments up to `through`, oldest segments first. */
  async idsThrough(through: number, limit: number): Promise<Types.ObjectId[]> {
    const rows = this.collections.rows
      .find({ segment: { $gte: 1, $lte: through } }, { projection: { _id: 1 } })
      .sort({ segment: 1, _id: 1 })
      .limit(limit)
      .batchSize(BATCH);
    return (await rows.toArray()).map(({ _id }) => _id);
  }

  /** Returns how many there were. */
  async removeRows(ids: readonly Types.ObjectId[], through: number): Promise<number> {
    const filter = { _id: { $in: [...ids] }, segment: { $gte: 1, $lte: through } };
    return (await this.collections.rows.deleteMany(filter, MAJORITY)).deletedCount;
  }

  async removeSegments(through: number): Promise<void> {
    await this.segments.deleteMany({ _id: { $lte: through } }, MAJORITY);
  }

  private get segments(): mongo.Collection<AuditSegment> {
    return this.collections.database.collection<AuditSegment>('audit_segments');
  }

  private get heads(): mongo.Collection<AuditHead> {
    return this.collections.database.collection<AuditHead>('audit_heads');
  }

  private get anchors(): mongo.Collection<AuditAnchor> {
    return this.collections.database.collection<AuditAnchor>('audit_anchors');
  }
}

async function inserted(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (isDuplicateKey(error)) return false;
    throw error;
  }
}
