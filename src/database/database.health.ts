import { Inject, Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import type { Connection } from 'mongoose';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { type DatabaseConfig, databaseConfig } from './database.config.js';

/** Whether the database answers a ping: `readyState` stays "connected" long after the server has gone. */
@Injectable()
export class DatabaseHealth {
  constructor(
    @InjectConnection() private readonly connection: Connection,
    @Inject(databaseConfig.token) private readonly config: DatabaseConfig,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Throws when there is no answer in time. */
  async ping(): Promise<void> {
    const timeout = new AbortController();
    const late = this.clock.sleep(this.config.pingTimeoutMs, timeout.signal).then(() => {
      throw new Error('the database did not answer in time');
    });
    // Losing the race is the usual end of the timer, not a failure.
    late.catch(() => undefined);
    try {
      const database = this.connection.readyState === 1 ? this.connection.db : undefined;
      if (!database) throw new Error('the database is not connected');
      await Promise.race([database.command({ ping: 1 }), late]);
    } finally {
      timeout.abort(new Error('answered'));
    }
  }
}
