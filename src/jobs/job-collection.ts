import { Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import type { Connection, mongo } from 'mongoose';
import type { JobDocument } from './job.document.js';

/** Straight on the driver, because Mongoose would cast the expressions of a pipeline to the types of the fields. */
@Injectable()
export class JobCollection {
  constructor(@InjectConnection() private readonly connection: Connection) {}

  get documents(): mongo.Collection<JobDocument> {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    return db.collection<JobDocument>('jobs');
  }
}
