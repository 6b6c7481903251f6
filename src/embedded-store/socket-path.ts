import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

/** `sun_path` holds 108 bytes on Linux and 104 on macOS, the last one a zero. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;
const TEMPORARY_PREFIX = 'crowsnest-store-';

export interface SocketPath {
  readonly path: string;
  /** Set when the data directory's name is too long for a socket: a private folder under the system's temporary one. */
  readonly temporaryDir: string | undefined;
}

/** A free socket path in a folder that only this user may enter. */
export function prepareSocketPath(dataDir: string): SocketPath {
  const folder = join(resolve(dataDir), 'run');
  const path = join(folder, 'store.sock');
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    const temporaryDir = mkdtempSync(join(tmpdir(), TEMPORARY_PREFIX));
    return { path: join(temporaryDir, 'store.sock'), temporaryDir };
  }
  // Left by a process that was killed; the lock says that it is gone.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  return { path, temporaryDir: undefined };
}

/** Removes the socket's folder; a path that is not one of ours is left alone. */
export function removeTemporaryDir(path: string | undefined): void {
  if (path === undefined || dirname(path) !== resolve(tmpdir()) || !basename(path).startsWith(TEMPORARY_PREFIX)) return;
  rmSync(path, { recursive: true, force: true });
}
