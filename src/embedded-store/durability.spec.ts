import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import mongoose from 'mongoose';
import { startEmbeddedStore } from './index.js';

const WRITER = fileURLToPath(new URL('./testing/acknowledged-writer.ts', import.meta.url));
const REMOVER = fileURLToPath(new URL('./testing/large-removal.ts', import.meta.url));
/** They import the store by the names that its files have when built. */
const AS_TYPESCRIPT = ['--import', new URL('../../test/support/run-typescript.ts', import.meta.url).href];
const ROUNDS = 4;

let dataDir: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'store-kill-'));
});
afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
});

/** Runs a writer until it has printed `count` lines, and kills it in the middle of its work. */
async function writeAndKill(round: number, count: number): Promise<string[]> {
  const writer = spawn(process.execPath, [...AS_TYPESCRIPT, WRITER, dataDir, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  child = writer;
  let text = '';
  writer.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.split('\n').length > count) writer.kill('SIGKILL');
  });
  await once(writer, 'close');
  // The last line may be cut.
  return text.split('\n').slice(0, -1);
}

describe('writes that were acknowledged', () => {
  it('survive kill -9 of the process, and the lock of the dead one does not stand in the way', async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const lines = await writeAndKill(round, 150 + round * 70);
      expect(lines.length).toBeGreaterThan(100);
      acknowledged.push(...lines);

      const store = await startEmbeddedStore({ dataDir });
      const client = await new mongoose.mongo.MongoClient(store.uri).connect();
      const docs = await client
        .db()
        .collection<{ _id: string; n: number; changed?: boolean }>('acks')
        .find({}, { batchSize: 100_000 })
        .toArray();
      const stored = new Map(docs.map((doc) => [doc._id, doc]));
      const lost = acknowledged.filter((line) => {
        const [id = '', changed] = line.split(' ');
        return !stored.has(id) || (changed !== undefined && stored.get(id)?.changed !== true);
      });
      expect(lost).toEqual([]);
      // Documents and index are of one state: each document is found by its unique key.
      expect(
        await client
          .db()
          .collection('acks')
          .countDocuments({ n: { $gte: 0 } }),
      ).toBe(docs.length);
      await client.close();
      await store.stop();
    }
  }, 120_000);
});

describe('a large write that kill -9 cuts', () => {
  it('leaves whole documents, each with its index keys', async () => {
    const writer = spawn(process.execPath, [...AS_TYPESCRIPT, REMOVER, dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    child = writer;
    // It says so when some documents are gone and others are not.
    const [said] = (await once(writer.stdout, 'data')) as [Buffer];
    writer.kill('SIGKILL');
    await once(writer, 'close');
    expect(said.toString()).toContain('in the middle');

    const store = await startEmbeddedStore({ dataDir });
    const client = await new mongoose.mongo.MongoClient(store.uri).connect();
    const docs = client.db().collection('docs');
    const scanned = await docs.countDocuments({ text: { $exists: true } }, { hint: { $natural: 1 } });
    // On a busy machine the kill may come when all are gone: then there is nothing that could be torn.
    expect(await docs.countDocuments({ n: { $gte: 0 } }, { hint: { n: 1 } })).toBe(scanned);
    expect(await docs.countDocuments({ _id: { $gte: 0 as never } }, { hint: { _id: 1 } })).toBe(scanned);
    await client.close();
    await store.stop();
  }, 30_000);
});

describe('the lock of the data directory', () => {
  it('names the other process while that lives, and is free as soon as it is dead', async () => {
    const writer = spawn(process.execPath, [...AS_TYPESCRIPT, WRITER, dataDir, '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    child = writer;
    await once(writer.stdout, 'data');
    await expect(startEmbeddedStore({ dataDir })).rejects.toMatchObject({
      code: 'DATA_DIR_LOCKED',
      pid: writer.pid,
      dataDir,
    });
    writer.kill('SIGKILL');
    await once(writer, 'close');
    await (await startEmbeddedStore({ dataDir })).stop();
  }, 30_000);
});
