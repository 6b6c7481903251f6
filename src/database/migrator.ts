import { Logger } from '@nestjs/common';
import type { mongo } from 'mongoose';
import { AppError } from '../errors/app-error.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import type { Migration } from './migrations/index.js';

/** The one document of the `installation` collection. */
export interface Installation {
  readonly _id: 'installation';
  /** Made once: names this installation in labels on objects and in the User-Agent. */
  readonly installationId: string;
  readonly schemaVersion: number;
  /** Version of the program that wrote last. */
  readonly programVersion: string;
  readonly createdAt: Date;
}

export interface MigratorOptions {
  readonly migrations: readonly Migration[];
  readonly programVersion: string;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Brings the stored data to the program's schema version. Each step is recorded when it is through, so that a cut
 * start goes on where it was. Two processes that start at once both run a step, which is idempotent, and one records it.
 *
 * Throws AppError `service.unavailable` when the store was written by a newer program.
 */
export class Migrator {
  private readonly log = new Logger(Migrator.name);

  constructor(private readonly options: MigratorOptions) {}

  async run(database: mongo.Db, signal: AbortSignal): Promise<Installation> {
    const { migrations, programVersion } = this.options;
    const collection = database.collection<Installation>('installation');
    const installation = await this.readOrCreate(collection);
    const newest = migrations.at(-1)?.schemaVersion ?? 0;
    if (installation.schemaVersion > newest) {
      throw new AppError(
        'service.unavailable',
        `the stored data has schema version ${installation.schemaVersion}, written by crowsnest ` +
          `${installation.programVersion}; this is crowsnest ${programVersion}, which knows versions up to ${newest}: ` +
          'start the newer program, or restore a backup made before the upgrade',
      );
    }
    for (const migration of migrations) {
      if (migration.schemaVersion <= installation.schemaVersion) continue;
      signal.throwIfAborted();
      this.log.log({
        message: 'migrating the stored data',
        schemaVersion: migration.schemaVersion,
        description: migration.description,
      });
      await migration.up(database, signal);
      await collection.updateOne(
        { _id: 'installation', schemaVersion: migration.schemaVersion - 1 },
        { $set: { schemaVersion: migration.schemaVersion } },
      );
    }
    const updated = await collection.findOneAndUpdate(
      { _id: 'installation' },
      { $set: { programVersion } },
      { returnDocument: 'after' },
    );
    return updated ?? installation;
  }

  private async readOrCreate(collection: mongo.Collection<Installation>): Promise<Installation> {
    const { clock, random, programVersion } = this.options;
    const fresh = {
      installationId: random.bytes(6).toString('hex'),
      schemaVersion: 0,
      programVersion,
      createdAt: new Date(clock.now()),
    };
    const installation = await collection.findOneAndUpdate(
      { _id: 'installation' },
      { $setOnInsert: fresh },
      { upsert: true, returnDocument: 'after' },
    );
    if (!installation) throw new Error('the store answered an upsert with nothing');
    return installation;
  }
}
