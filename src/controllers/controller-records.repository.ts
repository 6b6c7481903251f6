import { Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import type { Connection, mongo } from 'mongoose';
import { isDuplicateKey } from '../database/index.js';
import type { HeldLease } from '../leader-election/index.js';
import type { ControllerRecord, RoundResult } from './controller-record.js';

interface ControllerDocument extends Omit<ControllerRecord, 'name'> {
  readonly _id: string;
  /** Random id of the last round that was begun: only it ends that round. */
  readonly roundId: string | null;
  /** What `answered` becomes when it ends. */
  readonly serving: number;
  /** When the leader of this epoch took over. */
  readonly adoptedAt: Date | null;
}

/** A literal in a pipeline: text may begin with a dollar. */
const literal = (value: unknown): object => ({ $literal: value });

const changed = { version: { $add: ['$version', 1] }, updatedAt: '$$NOW' };

/**
 * One document for each controller. What a leader writes is conditional on its epoch, so that a late one changes
 * nothing. Straight on the driver, because Mongoose would cast the expressions of a pipeline.
 */
@Injectable()
export class ControllerRecordsRepository {
  constructor(@InjectConnection() private readonly connection: Connection) {}

  /** Makes the record unless there is one. */
  async ensure(name: string, now: Date): Promise<void> {
    try {
      await this.collection.updateOne({ _id: name }, { $setOnInsert: fresh(now) }, { upsert: true });
    } catch (error) {
      // Another replica has just made it.
      if (!isDuplicateKey(error)) throw error;
    }
  }

  async find(name: string): Promise<ControllerRecord | null> {
    const document = await this.collection.findOne({ _id: name });
    return document && toRecord(document);
  }

  async list(): Promise<ControllerRecord[]> {
    const documents = await this.collection.find().sort({ _id: 1 }).toArray();
    return documents.map(toRecord);
  }

  /**
   * Makes the record the leader's. The round of a leader before, if one was in progress, is none any more.
   *
   * @returns milliseconds until the next round is due: at once if so wanted, `firstDelayMs` if there never was one;
   * null if a newer leader has the record.
   */
  async adopt(
    name: string,
    lease: HeldLease,
    { atOnce, firstDelayMs }: { readonly atOnce: boolean; readonly firstDelayMs: number },
  ): Promise<{ readonly record: ControllerRecord; readonly dueInMs: number } | null> {
    const planned = { $ifNull: ['$nextRunAt', { $add: ['$$NOW', firstDelayMs] }] };
    const change = {
      epoch: lease.epoch,
      adoptedAt: '$$NOW',
      startedAt: null,
      nextRunAt: atOnce ? '$$NOW' : planned,
      ...changed,
    };
    const document = await this.update({ _id: name, epoch: { $lte: lease.epoch } }, change);
    if (!document) return null;
    return { record: toRecord(document), dueInMs: Number(document.nextRunAt) - Number(document.adoptedAt) };
  }

  /** Null if it is paused, or a newer leader has the record. */
  async begin(name: string, lease: HeldLease, roundId: string): Promise<ControllerRecord | null> {
    const change = { startedAt: '$$NOW', roundId: literal(roundId), serving: '$requested', ...changed };
    const document = await this.update({ _id: name, epoch: lease.epoch, paused: false }, change);
    return document && toRecord(document);
  }

  /** Null if the round is not this leader's any more. */
  async finish(name: string, lease: HeldLease, roundId: string, result: RoundResult): Promise<ControllerRecord | null> {
    const outcome =
      'error' in result
        ? {
            lastError: literal(result.error),
            lastErrorAt: '$$NOW',
            consecutiveErrors: { $add: ['$consecutiveErrors', 1] },
            processed: 0,
            changed: 0,
            detail: null,
          }
        : {
            lastSuccessAt: '$$NOW',
            consecutiveErrors: 0,
            processed: result.processed,
            changed: result.changed,
            detail: literal(result.detail ?? null),
          };
    const change = {
      ...outcome,
      lastRunAt: '$startedAt',
      startedAt: null,
      durationMs: result.durationMs,
      answered: '$serving',
      nextRunAt: { $add: ['$$NOW', result.nextInMs] },
      ...changed,
    };
    const document = await this.update({ _id: name, epoch: lease.epoch, roundId }, change);
    return document && toRecord(document);
  }

  /** The round was cut short by a shutdown: it is due again at once, for whoever leads then. */
  async abandon(name: string, lease: HeldLease, roundId: string): Promise<void> {
    const change = { startedAt: null, ...changed };
    await this.update({ _id: name, epoch: lease.epoch, roundId }, change);
  }

  /** Asks for a round; null while it is paused. It is through once `answered` has reached the record's `requested`. */
  async request(name: string): Promise<ControllerRecord | null> {
    const change = { requested: { $add: ['$requested', 1] }, ...changed };
    const document = await this.update({ _id: name, paused: false }, change);
    return document && toRecord(document);
  }

  /** Null if it is so already. */
  async setPaused(name: string, paused: boolean, by: string): Promise<ControllerRecord | null> {
    const change = { paused, pausedBy: paused ? literal(by) : null, pauseChangedAt: '$$NOW', ...changed };
    const document = await this.update({ _id: name, paused: !paused }, change);
    return document && toRecord(document);
  }

  private update(filter: mongo.Filter<ControllerDocument>, change: object): Promise<ControllerDocument | null> {
    return this.collection.findOneAndUpdate(filter, [{ $set: change }], { returnDocument: 'after' });
  }

  private get collection(): mongo.Collection<ControllerDocument> {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    return db.collection<ControllerDocument>('controllers');
  }
}

function fresh(now: Date): Omit<ControllerDocument, '_id'> {
  return {
    paused: false,
    pausedBy: null,
    pauseChangedAt: null,
    requested: 0,
    answered: 0,
    serving: 0,
    epoch: 0,
    adoptedAt: null,
    roundId: null,
    startedAt: null,
    lastRunAt: null,
    lastSuccessAt: null,
    durationMs: null,
    processed: null,
    changed: null,
    detail: null,
    consecutiveErrors: 0,
    lastError: null,
    lastErrorAt: null,
    nextRunAt: null,
    version: 1,
    createdAt: now,
    updatedAt: now,
  };
}

function toRecord({
  _id,
  roundId: _roundId,
  serving: _serving,
  adoptedAt: _adoptedAt,
  ...record
}: ControllerDocument): ControllerRecord {
  return { name: _id, ...record };
}
