import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Another store has the folder open. `code` is stable. */
export class DataDirLockedError extends Error {
  readonly code = 'DATA_DIR_LOCKED';
  readonly dataDir: string;
  /** Undefined in the moment before the holder has told it. */
  readonly pid: number | undefined;

  constructor(dataDir: string, pid: number | undefined) {
    super(
      `the data directory ${dataDir} is in use by ${pid === undefined ? 'another process' : `the process with pid ${pid}`}: ` +
        'stop that one, or give this one another DATA_DIR',
    );
    this.name = 'DataDirLockedError';
    this.dataDir = dataDir;
    this.pid = pid;
  }
}

/** What the holder writes beside the lock. */
export interface LockOwner {
  readonly pid: number;
  /** A folder outside the data directory that its next holder removes if this one could not. */
  readonly temporaryDir?: string;
}

export interface DataDirLock {
  /** Who held the folder last, if that one did not release it. */
  readonly previous: LockOwner | undefined;
  describe(owner: LockOwner): void;
  release(): void;
}

function readOwner(path: string): LockOwner | undefined {
  try {
    const owner = JSON.parse(readFileSync(path, 'utf8')) as Partial<LockOwner>;
    return typeof owner.pid === 'number' ? (owner as LockOwner) : undefined;
  } catch {
    // Not there or half written: then nobody is known.
    return undefined;
  }
}

const isBusy = (error: unknown): boolean => (error as { errcode?: number }).errcode === 5;

/**
 * Locks a folder for one store. The lock is the operating system's (SQLite's exclusive mode), so it ends with its process however
 * that ends, and a reused pid locks nobody out. Throws DataDirLockedError.
 */
export function lockDataDir(dataDir: string): DataDirLock {
  const folder = resolve(dataDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const ownerPath = join(folder, 'lock-owner.json');
  // The file stays when the lock is released: removing it would let two processes lock two files of one name.
  const lock = new DatabaseSync(join(folder, 'lock'));
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    throw isBusy(error) ? new DataDirLockedError(folder, readOwner(ownerPath)?.pid) : error;
  }
  const previous = readOwner(ownerPath);
  let isHeld = true;
  return {
    previous,
    describe: (owner) => writeFileSync(ownerPath, JSON.stringify(owner), { mode: 0o600 }),
    release: () => {
      if (!isHeld) return;
      isHeld = false;
      rmSync(ownerPath, { force: true });
      lock.close();
    },
  };
}
