import { Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import type { Connection, mongo } from 'mongoose';
import { type Scope, tenantFilter } from '../../auth/index.js';
import { isDuplicateKey } from '../../database/index.js';
import type { StoredSubsystem } from './stored-subsystem.js';

@Injectable()
export class StoredSubsystemsRepository {
  constructor(@InjectConnection() private readonly connection: Connection) {}

  /** False if its id is taken, in whichever tenant. */
  async insert(subsystem: StoredSubsystem): Promise<boolean> {
    try {
      await this.collection.insertOne(subsystem);
      return true;
    } catch (error) {
      if (isDuplicateKey(error)) return false;
      throw error;
    }
  }

  /** Of the scope, oldest first. */
  list(scope: Scope): Promise<StoredSubsystem[]> {
    return this.collection.find(tenantFilter(scope)).sort({ _id: 1 }).toArray();
  }

  /** Whether it was there. */
  async delete(scope: Scope, subsystemId: string): Promise<boolean> {
    const { deletedCount } = await this.collection.deleteOne({ ...tenantFilter(scope), subsystemId });
    return deletedCount > 0;
  }

  async deleteOfTenant(tenantId: string): Promise<void> {
    await this.collection.deleteMany({ tenantId });
  }

  get collection(): mongo.Collection<StoredSubsystem> {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    return db.collection<StoredSubsystem>('subsystems');
  }
}
