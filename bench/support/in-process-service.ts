import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { mongo } from 'mongoose';

type Dist<Module> = Promise<Module>;
const built = (file: string): string => new URL(`../../dist/${file}.js`, import.meta.url).href;

/** A module of the built service. */
export const room = async <Module>(file: string): Dist<Module> => import(built(file)) as Dist<Module>;

/** The whole service in this process, its store in a worker thread or on a database of its own of a server. */
export interface InProcessService {
  readonly database: mongo.Db;
  readonly of: <T>(type: abstract new (...args: never[]) => T) => T;
  /** Stops everything in its order, then removes what was stored. */
  close(): Promise<void>;
}

/** Reconcilers that a benchmark runs itself do not come in between. */
const QUIET = {
  CROWSNEST_JOB_RECOVERY_PERIOD: '1h',
  CROWSNEST_QUEUE_PRIORITY_PERIOD: '1h',
  CROWSNEST_AUDIT_RETENTION_PERIOD: '1h',
};

/** `uri`: of a server; undefined is the embedded store. */
export async function openService(uri: string | undefined, name: string): Promise<InProcessService> {
  const { createApp } = await room<typeof import('../../src/app.setup.ts')>('app.setup');
  const { loadAppConfig } = await room<typeof import('../../src/app.config.ts')>('app.config');
  const { Lifecycle } = await room<typeof import('../../src/lifecycle/index.ts')>('lifecycle/index');
  const { SystemClock } = await room<typeof import('../../src/runtime/clock.ts')>('runtime/clock');
  const { CryptoRandom } = await room<typeof import('../../src/runtime/random.ts')>('runtime/random');
  const { JobCollection } = await room<typeof import('../../src/jobs/job-collection.ts')>('jobs/job-collection');
  const { MongoClient } = (await import('mongoose')).default.mongo;

  const dataDir = mkdtempSync(join(tmpdir(), 'crowsnest-bench-'));
  const random = new CryptoRandom();
  const own = uri === undefined ? undefined : databaseOf(uri, name);
  const environment = {
    PORT: '0',
    DATA_DIR: dataDir,
    LOG_LEVEL: 'error',
    ...QUIET,
    ...(own === undefined ? {} : { MONGODB_URI: own, CROWSNEST_SEALING_KEY: random.bytes(32).toString('base64') }),
  };
  const logger = {
    log: () => undefined,
    warn: () => undefined,
    error: (line: unknown) => void process.stderr.write(`${JSON.stringify(line)}\n`),
  };
  const config = loadAppConfig(environment, random);
  const app = await createApp({ config, clock: new SystemClock(), random }, logger);
  const of = <T>(type: abstract new (...args: never[]) => T): T => app.get<T>(type, { strict: false });
  const lifecycle = of(Lifecycle);
  await lifecycle.start();
  const { connection } = of(JobCollection) as unknown as { connection: { db: mongo.Db } };
  return {
    database: connection.db,
    of,
    async close() {
      await lifecycle.stop();
      await app.close();
      // Only now: what the service still does would find its collections gone.
      if (own !== undefined) {
        const client = await MongoClient.connect(own);
        await client.db().dropDatabase();
        await client.close();
      }
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function databaseOf(uri: string, name: string): string {
  const url = new URL(uri);
  url.pathname = `/bench_${name}_${process.pid}`;
  return url.href;
}
