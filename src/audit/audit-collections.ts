import { Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import type { Connection, mongo } from 'mongoose';
import type { AuditRow } from './audit-row.js';

/** A replica set must not take back what was told as stored. */
export const MAJORITY = { writeConcern: { w: 'majority' } } as const;

/**
 * Straight on the driver: tags are made over what is stored, whatever a schema would say about it, and batches of
 * thousands of rows are read and written.
 */
@Injectable()
export class AuditCollections {
  constructor(@InjectConnection() private readonly connection: Connection) {}

  get rows(): mongo.Collection<AuditRow> {
    return this.database.collection<AuditRow>('audit_logs');
  }

  get database(): mongo.Db {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    return db;
  }
}
