import { describe, expect, it } from '@jest/globals';
import { CryptoRandom } from '../runtime/random.js';
import { digestOf } from './api-key.js';
import { isSecretOf, newCredential, readCredential } from './stored-credential.js';

const KEY_ID = 'a'.repeat(24);
const random = new CryptoRandom();

describe('a stored credential', () => {
  it('is read back as it was made, and as no other kind', () => {
    const { text, digest } = newCredential('csk', KEY_ID, random);
    const { keyId, secret } = readCredential('csk', text) ?? {};
    expect(keyId).toBe(KEY_ID);
    expect(isSecretOf(digest, secret ?? '')).toBe(true);
    expect(readCredential('csa', text)).toBeUndefined();
  });

  it('costs one digest, of the secret that was sent, whether its id is unknown, its secret wrong or all is right', () => {
    const { text, digest } = newCredential('csk', KEY_ID, random);
    const right = readCredential('csk', text)?.secret ?? '';
    const wrong = readCredential('csk', newCredential('csk', KEY_ID, random).text)?.secret ?? '';
    const outcomes = [
      [undefined, wrong],
      [digest, wrong],
      [digest, right],
    ].map(([known, sent = '']) => {
      const digested: string[] = [];
      const isRight = isSecretOf(known, sent, (secret) => {
        digested.push(secret);
        return digestOf(secret);
      });
      return { isRight, digested };
    });
    expect(outcomes).toEqual([
      { isRight: false, digested: [wrong] },
      { isRight: false, digested: [wrong] },
      { isRight: true, digested: [right] },
    ]);
  });

  it('is not taken for an id that nobody has, even if its digest is what that is compared with', () => {
    expect(isSecretOf(undefined, 'x', () => Buffer.alloc(32))).toBe(false);
  });
});
