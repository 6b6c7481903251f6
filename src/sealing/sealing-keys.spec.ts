import { afterAll, describe, expect, it } from '@jest/globals';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../config/index.js';
import { CryptoRandom } from '../runtime/random.js';
import { parseSealingKey } from './sealing-key.js';
import { sealingKeys } from './sealing-keys.js';

const random = new CryptoRandom();

describe('sealingKeys', () => {
  const root = mkdtempSync(join(tmpdir(), 'sealing-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  const embedded = (name: string) => ({ keys: undefined, usesEmbeddedStore: true, dataDir: join(root, name) });

  it('takes the configured keys and makes no file', () => {
    const keys = [parseSealingKey(random.bytes(32).toString('base64'))];
    expect(sealingKeys({ ...embedded('configured'), keys }, random)).toBe(keys);
    expect(readdirSync(root)).not.toContain('configured');
  });

  it('makes a key file of its own once, for its user alone', () => {
    const first = sealingKeys(embedded('made'), random);
    expect(sealingKeys(embedded('made'), random)).toEqual(first);
    expect(readdirSync(join(root, 'made'))).toEqual(['sealing-key']);
    expect(statSync(join(root, 'made', 'sealing-key')).mode & 0o777).toBe(0o600);
    expect(statSync(join(root, 'made')).mode & 0o777).toBe(0o700);
  });

  it('refuses a file that others may read, and one that is no key, which it does not replace', () => {
    sealingKeys(embedded('open'), random);
    const file = join(root, 'open', 'sealing-key');
    chmodSync(file, 0o644);
    expect(() => sealingKeys(embedded('open'), random)).toThrow(/chmod 600/);
    chmodSync(file, 0o600);
    writeFileSync(file, 'half a k');
    expect(() => sealingKeys(embedded('open'), random)).toThrow(ConfigError);
    expect(readFileSync(file, 'utf8')).toBe('half a k');
  });

  it('refuses to start on a MongoDB without a key, saying how to make one', () => {
    const options = { ...embedded('mongo'), usesEmbeddedStore: false };
    expect(() => sealingKeys(options, random)).toThrow(/CROWSNEST_SEALING_KEY.*openssl rand -base64 32/);
    expect(readdirSync(root)).not.toContain('mongo');
  });
});
