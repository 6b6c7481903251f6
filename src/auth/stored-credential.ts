import type { Random } from '../runtime/random.js';
import { digestOf } from './api-key.js';

const SECRET_BYTES = 32;
const SHAPE = /^[a-z]+_([0-9a-f-]{24,64})\.([\w-]{43})$/;

/** A credential that was just made: the only time that `text` is known. */
export interface NewCredential {
  /** `<prefix>_<key id>.<secret>`, the secret of 256 bits. */
  readonly text: string;
  /** SHA-256 of the secret in hex: what is stored. A secret that long needs no salt and no slow hash. */
  readonly digest: string;
}

export function newCredential(prefix: string, keyId: string, random: Random): NewCredential {
  const secret = random.bytes(SECRET_BYTES).toString('base64url');
  return { text: `${prefix}_${keyId}.${secret}`, digest: secretDigest(secret) };
}

/** What somebody sends. Undefined if it cannot be a credential. */
export function readCredential(prefix: string, text: string): { keyId: string; secret: string } | undefined {
  const [, keyId, secret] = SHAPE.exec(text) ?? [];
  if (keyId === undefined || secret === undefined || !text.startsWith(`${prefix}_`)) return undefined;
  return { keyId, secret };
}

/**
 * What is stored of a secret, and what its credential is found by: never by the id, which whoever guesses may have. An
 * index finds nothing for a wrong secret, whether there is a credential of that id or not, so that time does not tell;
 * and how far a digest agrees with a stored one helps nobody to a secret.
 */
export function secretDigest(secret: string): string {
  return digestOf(secret).toString('hex');
}
