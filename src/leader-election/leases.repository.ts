import { Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import type { Connection, mongo } from 'mongoose';
import { isDuplicateKey } from '../database/index.js';
import type { LeaseStore, StoredLease } from './lease-store.js';

interface LeaseDocument {
  /** The duty. */
  readonly _id: string;
  readonly holder: string;
  readonly epoch: number;
  readonly heldSince: Date;
  readonly expiresAt: Date;
  /** For how long it was given last; absent in what earlier programs stored. */
  readonly ttlMs?: number;
}

/** Two primaries must not both grant. */
const MAJORITY = { writeConcern: { w: 'majority' } } as const;

/**
 * One document for each duty; granted by one command, inside of which the server's time decides. Straight on the
 * driver, because Mongoose would cast the expressions of a pipeline to the types of the fields.
 */
@Injectable()
export class LeasesRepository implements LeaseStore {
  constructor(@InjectConnection() private readonly connection: Connection) {}

  async acquire(duty: string, holder: string, ttlMs: number): Promise<StoredLease | null> {
    const me = { $literal: holder };
    const isMine = { $eq: ['$holder', me] };
    const isFree = { $lte: [{ $ifNull: ['$expiresAt', '$$NOW'] }, '$$NOW'] };
    const isTakeover = { $and: [isFree, { $not: [isMine] }] };
    const onTakeover = (value: unknown, field: string): object => ({ $cond: [isTakeover, value, field] });
    const isGranted = { $or: [isMine, isFree] };
    // Ends later than it did when it was given: the server's time was set back. Whoever has it relies on less than this.
    const unlessSetBack = { $min: ['$expiresAt', { $add: ['$$NOW', '$ttlMs'] }] };
    const grant = {
      holder: onTakeover(me, '$holder'),
      epoch: onTakeover({ $add: [{ $ifNull: ['$epoch', 0] }, 1] }, '$epoch'),
      heldSince: onTakeover('$$NOW', '$heldSince'),
      expiresAt: { $cond: [isGranted, { $add: ['$$NOW', ttlMs] }, unlessSetBack] },
      ttlMs: { $cond: [isGranted, ttlMs, '$ttlMs'] },
    };
    try {
      // Success is read from what comes back: servers differ in what they allow in the filter of an upsert.
      const lease = await this.collection.findOneAndUpdate({ _id: duty }, [{ $set: grant }], {
        upsert: true,
        returnDocument: 'after',
        maxTimeMS: ttlMs,
        ...MAJORITY,
      });
      return lease?.holder === holder ? toLease(lease) : null;
    } catch (error) {
      // Somebody else was first to make the document.
      if (isDuplicateKey(error)) return null;
      throw error;
    }
  }

  async resign(duty: string, holder: string, epoch: number): Promise<void> {
    await this.collection.updateOne({ _id: duty, holder, epoch }, [{ $set: { expiresAt: '$$NOW' } }], MAJORITY);
  }

  async list(): Promise<StoredLease[]> {
    const leases = await this.collection.find().sort({ _id: 1 }).toArray();
    return leases.map(toLease);
  }

  private get collection(): mongo.Collection<LeaseDocument> {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    return db.collection<LeaseDocument>('leases');
  }
}

function toLease({ _id, holder, epoch, heldSince, expiresAt }: LeaseDocument): StoredLease {
  return { duty: _id, holder, epoch, heldSince, expiresAt };
}
