import { Inject, Injectable, Logger } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import type { Connection } from 'mongoose';
import { AppError } from '../errors/app-error.js';
import { Backoff } from '../runtime/backoff.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { RANDOM, type Random } from '../runtime/random.js';
import type { Runnable } from '../runtime/runnable.js';
import { PROGRAM_VERSION } from '../runtime/program-version.js';
import { StoreAddress } from './store-address.js';
import { MIGRATIONS } from './migrations/index.js';
import { type Installation, Migrator } from './migrator.js';

const RETRY = { baseMs: 500, maxMs: 10_000 };

/**
 * Opens the connection and migrates the stored data. A database that is not there yet is waited for, told at each try;
 * a store that is newer than the program ends the start.
 */
@Injectable()
export class DatabaseConnection implements Runnable {
  readonly name = 'connection';
  private readonly log = new Logger(DatabaseConnection.name);
  private current: Installation | undefined;

  constructor(
    @InjectConnection() private readonly connection: Connection,
    private readonly address: StoreAddress,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  /** Known once the phase `database` has started. */
  get installation(): Installation {
    if (!this.current) throw new Error('the database phase has not started');
    return this.current;
  }

  async start(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(RETRY, this.random);
    for (;;) {
      signal.throwIfAborted();
      try {
        await this.connection.openUri(this.address.uri, {
          dbName: this.address.databaseName,
          serverSelectionTimeoutMS: 2_000,
        });
        break;
      } catch (error) {
        const retryInMs = backoff.next();
        // The driver's message holds host and cause, never the URI's password.
        const reason = error instanceof Error ? error.message : String(error);
        this.log.warn({ message: 'the database cannot be reached', reason, retryInMs });
        await this.clock.sleep(retryInMs, signal);
      }
    }
    this.current = await this.migrate(signal);
  }

  async stop(): Promise<void> {
    await this.connection.close();
  }

  private async migrate(signal: AbortSignal): Promise<Installation> {
    const database = this.connection.db;
    if (!database) throw new AppError('service.unavailable', 'the database connection has no database');
    const options = {
      migrations: MIGRATIONS,
      programVersion: PROGRAM_VERSION,
      clock: this.clock,
      random: this.random,
    };
    return new Migrator(options).run(database, signal);
  }
}
