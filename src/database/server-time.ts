import { Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import type { Connection } from 'mongoose';

/**
 * Port: the time of the database server, which all replicas share. A test puts a clock of its own behind it.
 */
export interface ServerTime {
  /** For update pipelines: the time at which the command runs. Never for a filter. */
  readonly now: '$$NOW' | Date;
  /** The time a round trip ago, to put into a filter. */
  read(): Promise<Date>;
}

/** Injection token. */
export const SERVER_TIME = Symbol('server time');

@Injectable()
export class DatabaseTime implements ServerTime {
  readonly now = '$$NOW';

  constructor(@InjectConnection() private readonly connection: Connection) {}

  async read(): Promise<Date> {
    const { db } = this.connection;
    if (!db) throw new Error('the database is not connected');
    const { localTime } = await db.command({ hello: 1 });
    if (!(localTime instanceof Date)) throw new Error('the database did not tell its time');
    return localTime;
  }
}
