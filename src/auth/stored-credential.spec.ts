import { describe, expect, it } from '@jest/globals';
import { CryptoRandom } from '../runtime/random.js';
import { newCredential, readCredential, secretDigest } from './stored-credential.js';

const KEY_ID = 'a'.repeat(24);
const random = new CryptoRandom();

describe('a stored credential', () => {
  it('is read back as it was made, and as no other kind', () => {
    const { text, digest } = newCredential('csk', KEY_ID, random);
    const { keyId, secret } = readCredential('csk', text) ?? {};
    expect(keyId).toBe(KEY_ID);
    expect(secretDigest(secret ?? '')).toBe(digest);
    expect(digest).not.toContain(secret);
    expect(readCredential('csa', text)).toBeUndefined();
  });
});
