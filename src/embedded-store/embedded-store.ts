import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { type DataDirLock, lockDataDir } from './data-dir-lock.js';
import { prepareSocketPath, removeTemporaryDir } from './socket-path.js';
import { startWorker } from './worker-loader.js';
import type { FromWorker, ToWorker } from './worker-messages.js';

export interface EmbeddedStoreOptions {
  /** Made (0700) if it is not there. */
  readonly dataDir: string;
  readonly log?: (line: { level: 'log' | 'warn' | 'error'; message: string; [key: string]: unknown }) => void;
  /** Milliseconds between two sweeps of TTL indexes; 30 s if absent. */
  readonly ttlSweepMs?: number;
}

export interface EmbeddedStore {
  /** `mongodb://<socket path>/crowsnest`, for the MongoDB driver. */
  readonly uri: string;
  /** Resolves when the worker is gone, its socket file is removed and the data directory is free. */
  stop(): Promise<void>;
  /** Calls `listener` if the store ends without having been stopped. */
  onExit(listener: (error: Error) => void): void;
}

const TTL_SWEEP_MS = 30_000;

/** Waits for the worker's first word; an end before it is a failure. */
function ready(worker: Worker, dataDir: string): Promise<void> {
  return new Promise((done, fail) => {
    const because = (message: string): Error => new Error(`the embedded store in ${dataDir} did not start: ${message}`);
    worker.once('error', (error: Error) => fail(because(error.message)));
    worker.once('exit', () => fail(because('its thread ended')));
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'ready') done();
      if (message.type === 'failed') fail(because(message.message));
    });
  });
}

/**
 * Starts a server in a worker thread that speaks the MongoDB wire protocol on a unix socket and stores under `dataDir`.
 * Throws DataDirLockedError while another store has the folder.
 */
export async function startEmbeddedStore(options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
  const dataDir = resolve(options.dataDir);
  const lock = lockDataDir(dataDir);
  try {
    return await startLocked(dataDir, lock, options);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function startLocked(dataDir: string, lock: DataDirLock, options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
  removeTemporaryDir(lock.previous?.temporaryDir);
  const storeDir = join(dataDir, 'store');
  mkdirSync(storeDir, { recursive: true, mode: 0o700 });
  chmodSync(storeDir, 0o700);
  const socket = prepareSocketPath(dataDir);
  lock.describe({
    pid: process.pid,
    ...(socket.temporaryDir === undefined ? {} : { temporaryDir: socket.temporaryDir }),
  });
  const removeSocket = (): void => {
    rmSync(dirname(socket.path), { recursive: true, force: true });
  };

  const worker = await startWorker({
    databasePath: join(storeDir, 'store.sqlite'),
    socketPath: socket.path,
    ttlSweepMs: options.ttlSweepMs ?? TTL_SWEEP_MS,
  });
  const listeners: Array<(error: Error) => void> = [];
  let failure: Error | undefined;
  let isStopping = false;
  const gone = new Promise<void>((done) => {
    worker.once('exit', (code) => {
      removeSocket();
      lock.release();
      if (!isStopping) {
        failure ??= new Error(`the embedded store's thread ended with code ${code}`);
        for (const listener of listeners) listener(failure);
      }
      done();
    });
  });
  worker.on('error', (error: Error) => (failure = error));
  worker.on('message', (message: FromWorker) => {
    if (message.type === 'log') options.log?.(message.line);
  });

  try {
    await ready(worker, dataDir);
  } catch (error) {
    isStopping = true;
    await worker.terminate();
    await gone;
    throw error;
  }
  return {
    uri: `mongodb://${encodeURIComponent(socket.path)}/crowsnest`,
    stop: () => {
      if (!isStopping) worker.postMessage({ type: 'stop' } satisfies ToWorker);
      isStopping = true;
      return gone;
    },
    onExit: (listener) => {
      if (failure) listener(failure);
      else listeners.push(listener);
    },
  };
}
