import { createHash } from 'node:crypto';
import type { SettingType } from '../config/setting-types.js';

const KEY_BYTES = 32;
/** 32 random bytes have fewer than 16 different ones once in 10^19; a typed or repeated text often has. */
const LEAST_DIFFERENT_BYTES = 16;

export interface SealingKey {
  /** Names the key in what it sealed. Says nothing about the key itself. */
  readonly id: string;
  readonly bytes: Buffer;
}

/** Of 32 bytes in base64. @throws RangeError, without the text */
export function parseSealingKey(text: string): SealingKey {
  const standard = text.replaceAll('-', '+').replaceAll('_', '/');
  const bytes = /^[A-Za-z0-9+/]{43}=?$/.test(standard) ? Buffer.from(standard, 'base64') : Buffer.alloc(0);
  if (bytes.length !== KEY_BYTES) throw new RangeError('not 32 bytes in base64');
  if (new Set(bytes).size < LEAST_DIFFERENT_BYTES) throw new RangeError('not random');
  return { id: keyIdOf(bytes), bytes };
}

export function sealingKey(): SettingType<SealingKey> {
  return { expected: '32 random bytes in base64, as `openssl rand -base64 32` prints them', parse: parseSealingKey };
}

function keyIdOf(bytes: Buffer): string {
  return createHash('sha256').update('crowsnest sealing key id').update(bytes).digest('hex').slice(0, 8);
}
