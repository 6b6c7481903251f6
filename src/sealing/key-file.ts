import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../config/index.js';
import type { Random } from '../runtime/random.js';
import { type SealingKey, parseSealingKey } from './sealing-key.js';

const FILE = 'sealing-key';
const OTHERS_MAY = 0o077;

/**
 * The key of an installation without a configured one, made at the first start. Losing the file loses every credential.
 *
 * @throws ConfigError when the file is no key, or open to other users.
 */
export function readOrCreateKeyFile(dataDir: string, random: Random): SealingKey {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, FILE);
  createOnce(path, random);
  if (statSync(path).mode & OTHERS_MAY) {
    throw new ConfigError([`${path} can be read by other users: run chmod 600 ${path}, or replace the key`]);
  }
  try {
    return parseSealingKey(readFileSync(path, 'utf8').trim());
  } catch {
    throw new ConfigError([
      `${path} does not hold a key: restore it from a backup; without it no credential can be opened`,
    ]);
  }
}

/** Written whole and then linked, so that neither a crash nor a second process leaves or reads half a key. */
function createOnce(path: string, random: Random): void {
  if (statSync(path, { throwIfNoEntry: false })) return;
  const draft = `${path}.${random.uuid()}`;
  try {
    writeFileSync(draft, `${random.bytes(32).toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true });
    linkSync(draft, path);
  } catch (error) {
    // Another process was first: its key holds.
    if (!statSync(path, { throwIfNoEntry: false })) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}
