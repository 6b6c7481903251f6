import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { SealingKey } from './sealing-key.js';

/** `v1.<key id>.<HMAC in base64url>` */
export type AuthenticationTag = string;

/** `unknown-key`: made with a key that is not here, so nothing can be said about the text. */
export type Authenticity = 'valid' | 'invalid' | 'unknown-key';

const VERSION = 'v1';
const KEY_BYTES = 32;
const SHAPE = /^v1\.([0-9a-f]{8})\.([A-Za-z0-9_-]{43})$/;

/**
 * Tags (HMAC-SHA256, RFC 2104) that only a holder of the key can make, so that what is stored cannot be changed or made
 * up unseen. Each purpose has keys of its own, derived from the sealing keys (HKDF, RFC 5869): a tag for one proves
 * nothing for another. The first key tags, all check, so that keys can be replaced one after the other.
 */
export class Authenticator {
  private readonly keys: ReadonlyMap<string, Buffer>;
  private readonly activeId: string;
  private readonly active: Buffer;

  constructor(keys: readonly SealingKey[], purpose: string) {
    const derived = keys.map(({ id, bytes }) => [id, derive(bytes, purpose)] as const);
    const [first] = derived;
    if (!first) throw new RangeError('an authenticator needs a key');
    [this.activeId, this.active] = first;
    this.keys = new Map(derived);
  }

  tag(text: string): AuthenticationTag {
    return `${VERSION}.${this.activeId}.${hmac(this.active, text).toString('base64url')}`;
  }

  check(text: string, tag: unknown): Authenticity {
    const [, keyId = '', code = ''] = (typeof tag === 'string' ? SHAPE.exec(tag) : null) ?? [];
    if (code === '') return 'invalid';
    const key = this.keys.get(keyId);
    if (!key) return 'unknown-key';
    const expected = hmac(key, text);
    const given = Buffer.from(code, 'base64url');
    return given.length === expected.length && timingSafeEqual(given, expected) ? 'valid' : 'invalid';
  }
}

/** Makes the authenticator of a purpose. */
export class Authenticators {
  constructor(private readonly keys: readonly SealingKey[]) {}

  of(purpose: string): Authenticator {
    return new Authenticator(this.keys, purpose);
  }
}

function derive(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), `crowsnest ${purpose} ${VERSION}`, KEY_BYTES));
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
