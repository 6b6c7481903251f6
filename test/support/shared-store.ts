import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedStore } from '../../src/embedded-store/index.js';

export interface SharedStore {
  readonly uri: string;
  readonly close: () => Promise<void>;
}

/** A store that several services share: one embedded in this process, or a database on the server of TEST_MONGODB_URI. */
export async function openSharedStore(name: string): Promise<SharedStore> {
  const server = process.env['TEST_MONGODB_URI'];
  if (server !== undefined) {
    const database = `${name}_${randomBytes(4).toString('hex')}`;
    return { uri: new URL(database, server).href, close: () => Promise.resolve() };
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'crowsnest-shared-'));
  const store = await startEmbeddedStore({ dataDir });
  const close = async (): Promise<void> => {
    await store.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  return { uri: store.uri, close };
}
