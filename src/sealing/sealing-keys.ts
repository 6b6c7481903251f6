import { ConfigError } from '../config/index.js';
import type { Random } from '../runtime/random.js';
import { readOrCreateKeyFile } from './key-file.js';
import type { SealingKey } from './sealing-key.js';

export interface SealingKeysOptions {
  /** As configured; undefined or empty without. */
  readonly keys: readonly SealingKey[] | undefined;
  readonly usesEmbeddedStore: boolean;
  readonly dataDir: string;
}

/**
 * The configured keys, or the key file beside the embedded store. There is no such file for a MongoDB: replicas would
 * each make their own, and one could not open what another sealed.
 *
 * @throws ConfigError
 */
export function sealingKeys(options: SealingKeysOptions, random: Random): readonly SealingKey[] {
  if (options.keys && options.keys.length > 0) return options.keys;
  if (options.usesEmbeddedStore) return [readOrCreateKeyFile(options.dataDir, random)];
  throw new ConfigError([
    'CROWSNEST_SEALING_KEY is needed with MONGODB_URI, for the credentials of clusters: make one with `openssl rand -base64 32` and keep it',
  ]);
}
