import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createCipheriv } from 'node:crypto';
import { CryptoRandom } from '../runtime/random.js';
import { SealError } from './seal-error.js';
import { Sealer } from './sealer.js';
import { parseSealingKey } from './sealing-key.js';

const random = new CryptoRandom();
const newKey = () => parseSealingKey(random.bytes(32).toString('base64'));

function failureOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof SealError) return error.failure;
    throw error;
  }
  return 'none';
}

describe('Sealer', () => {
  const key = newKey();
  const sealer = new Sealer([key], random);
  const context = ['cluster', 'default', 'a'];

  it('opens what it sealed, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.array(fc.string()), (text, place) => {
        const wellFormed = text.toWellFormed();
        const sealed = sealer.seal(wellFormed, place);
        expect(sealed).toMatch(/^v1\.[0-9a-f]{8}\.[\w-]+$/);
        expect(sealer.open(sealed, place)).toBe(wellFormed);
      }),
    );
  });

  it('binds the context part by part', () => {
    const sealed = sealer.seal('secret', ['a', 'b']);
    for (const other of [['ab'], ['a', 'b', ''], ['b', 'a'], ['a","b'], ['a'], []]) {
      expect(failureOf(() => sealer.open(sealed, other))).toBe('tampered');
    }
  });

  it('refuses every changed character and every cut', () => {
    const sealed = sealer.seal('secret', context);
    const start = sealed.lastIndexOf('.') + 1;
    for (let at = start; at < sealed.length; at += 1) {
      const changed = sealed[at] === 'A' ? 'B' : 'A';
      const forged = sealed.slice(0, at) + changed + sealed.slice(at + 1);
      expect(failureOf(() => sealer.open(forged, context))).not.toBe('none');
      expect(failureOf(() => sealer.open(sealed.slice(0, at), context))).not.toBe('none');
    }
  });

  it('does not take a shorter tag for the whole one', () => {
    const nonce = random.bytes(12);
    const aad = Buffer.from(JSON.stringify(['v1', key.id, ...context]));
    for (const length of [4, 8, 12, 13, 14, 15]) {
      const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce, { authTagLength: length });
      cipher.setAAD(aad);
      const parts = [nonce, cipher.update('a text that is long enough'), cipher.final(), cipher.getAuthTag()];
      const forged = `v1.${key.id}.${Buffer.concat(parts).toString('base64url')}`;
      expect(failureOf(() => sealer.open(forged, context))).toBe('tampered');
    }
  });

  it('never uses a nonce twice and never seals alike', () => {
    const nonces = Array.from({ length: 10_000 }, () => sealer.seal('', context).slice(12, 28));
    expect(new Set(nonces).size).toBe(nonces.length);
  });

  it('seals with the first key and opens with all', () => {
    const next = newKey();
    const rotated = new Sealer([next, key], random);
    const old = sealer.seal('secret', context);
    expect(rotated.open(old, context)).toBe('secret');
    const sealed = rotated.seal('secret', context);
    expect(sealed.split('.')[1]).toBe(next.id);
    expect(failureOf(() => sealer.open(sealed, context))).toBe('unknown-key');
    expect(() => sealer.open(sealed, context)).toThrow(next.id);
  });

  it.each(['', 'secret', 'v1..', 'v1.00000000.', 'v2.00000000.AAAA', `v1.${key.id}.AAAA`, `v1.${key.id}.!!`])(
    'tells that %j is no sealed value',
    (text) => expect(failureOf(() => sealer.open(text, context))).toBe('malformed'),
  );
});

describe('sealing key', () => {
  it.each([
    ['empty', ''],
    ['too short', Buffer.from('short').toString('base64')],
    ['31 bytes', random.bytes(31).toString('base64')],
    ['33 bytes', random.bytes(33).toString('base64')],
    ['hex', random.bytes(32).toString('hex')],
    ['a passphrase', 'correct horse battery staple correct horse b'],
    ['zeros', Buffer.alloc(32).toString('base64')],
    ['a repeated word', Buffer.from('passwordpasswordpasswordpassword').toString('base64')],
  ])('refuses %s without repeating it', (_what, text) => {
    expect(() => parseSealingKey(text)).toThrow(RangeError);
    if (text !== '') expect(() => parseSealingKey(text)).not.toThrow(text);
  });

  it('takes base64 and base64url', () => {
    const bytes = random.bytes(32);
    expect(parseSealingKey(bytes.toString('base64'))).toEqual(parseSealingKey(bytes.toString('base64url')));
  });
});
