import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Random } from '../runtime/random.js';
import { SealError } from './seal-error.js';
import type { SealingKey } from './sealing-key.js';

/** `v1.<key id>.<base64url of nonce, ciphertext and tag>` */
export type Sealed = string;

/** Stands for a sealed value in answers; in a request it means "keep what is stored". */
export const SEALED_MARKER = '[sealed]';

const VERSION = 'v1';
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SHAPE = /^(v\d+)\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/;

/**
 * AES-256-GCM (NIST SP 800-38D). The context is authenticated with the text: what was sealed for one owner, field and
 * place cannot be opened as another's. The first key seals, all open, so that keys can be replaced one after the other.
 */
export class Sealer {
  private readonly keys: ReadonlyMap<string, SealingKey>;
  private readonly active: SealingKey;

  constructor(
    keys: readonly SealingKey[],
    private readonly random: Random,
  ) {
    const [first] = keys;
    if (!first) throw new RangeError('a sealer needs a key');
    this.active = first;
    this.keys = new Map(keys.map((key) => [key.id, key]));
  }

  /** @param context whose it is and where it stands, outermost first: `['cluster', tenantId, id, …]` */
  seal(plaintext: string, context: readonly string[]): Sealed {
    const { id, bytes } = this.active;
    const nonce = this.random.bytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, bytes, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(boundTo(id, context));
    const sealed = [nonce, cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()];
    return `${VERSION}.${id}.${Buffer.concat(sealed).toString('base64url')}`;
  }

  /** @throws SealError when it was sealed with a key that is not here, for another context, or was changed. */
  open(sealed: Sealed, context: readonly string[]): string {
    const [, version, keyId = '', text = ''] = SHAPE.exec(sealed) ?? [];
    const content = Buffer.from(text, 'base64url');
    const isCanonical = content.toString('base64url') === text;
    if (version !== VERSION || !isCanonical || content.length < NONCE_BYTES + TAG_BYTES) {
      throw new SealError('malformed', 'a sealed value is not in the form of this version');
    }
    const key = this.keys.get(keyId);
    if (!key) {
      const advice = `add the key to CROWSNEST_SEALING_KEY, after the one that seals`;
      throw new SealError('unknown-key', `a value was sealed with key ${keyId}, which is not known: ${advice}`, keyId);
    }
    try {
      const decipher = createDecipheriv(CIPHER, key.bytes, content.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(boundTo(keyId, context));
      decipher.setAuthTag(content.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(content.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString();
    } catch {
      throw new SealError(
        'tampered',
        `a value sealed with key ${keyId} was changed, or belongs to something else`,
        keyId,
      );
    }
  }
}

/** JSON keeps the parts apart: `['a', 'b']` and `['a,b']` are bound to different bytes. */
function boundTo(keyId: string, context: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify([VERSION, keyId, ...context]));
}
