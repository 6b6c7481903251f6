import { timingSafeEqual } from 'node:crypto';
import type { Random } from '../runtime/random.js';
import { digestOf } from './api-key.js';

const SECRET_BYTES = 32;
const SHAPE = /^[a-z]+_([0-9a-f-]{24,64})\.([\w-]{43})$/;
/** Compared with where there is no such id, so that time tells nothing. */
const NO_DIGEST = Buffer.alloc(32);

/** A credential that was just made: the only time that `text` is known. */
export interface NewCredential {
  /** `<prefix>_<key id>.<secret>`, the secret of 256 bits. */
  readonly text: string;
  /** SHA-256 of the secret in hex: what is stored. A secret that long needs no salt and no slow hash. */
  readonly digest: string;
}

export function newCredential(prefix: string, keyId: string, random: Random): NewCredential {
  const secret = random.bytes(SECRET_BYTES).toString('base64url');
  return { text: `${prefix}_${keyId}.${secret}`, digest: digestOf(secret).toString('hex') };
}

/** What somebody sends. Undefined if it cannot be a credential. */
export function readCredential(prefix: string, text: string): { keyId: string; secret: string } | undefined {
  const [, keyId, secret] = SHAPE.exec(text) ?? [];
  if (keyId === undefined || secret === undefined || !text.startsWith(`${prefix}_`)) return undefined;
  return { keyId, secret };
}

/** In constant time, also where there is no digest to compare with: the same work is done for an id that nobody has. */
export function isSecretOf(digest: string | undefined, secret: string, hash = digestOf): boolean {
  const known = digest === undefined ? NO_DIGEST : Buffer.from(digest, 'hex');
  return timingSafeEqual(known, hash(secret)) && digest !== undefined;
}
