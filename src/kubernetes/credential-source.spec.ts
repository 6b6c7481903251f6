import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '../../test/support/fake-clock.js';
import { credentialSourceOf } from './credential-source.js';
import { PodServiceAccount } from './service-account.js';

const root = mkdtempSync(join(tmpdir(), 'pod-'));
const folder = join(root, 'var/run/secrets/kubernetes.io/serviceaccount');
const variables = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
const access = { clusterId: 'own', accessVersion: 1, server: 'https://10.96.0.1' };

function write(token: string, ca: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'token'), `${token}\n`);
  writeFileSync(join(folder, 'ca.crt'), ca);
}

async function inPod<T>(work: (account: PodServiceAccount) => Promise<T>): Promise<T> {
  Object.assign(process.env, variables);
  try {
    return await work(new PodServiceAccount(root));
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
  }
}

describe('the credential of the own pod', () => {
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it('follows the files within a minute, and at once after a 401', async () => {
    write('first', 'CA 1');
    const clock = new FakeClock();
    await inPod(async (account) => {
      const source = credentialSourceOf({ ...access, credential: { type: 'in-cluster' } }, account, clock);
      expect(await source.authorization()).toBe('Bearer first');
      write('second', 'CA 2');
      await clock.advance(59_999);
      expect(await source.authorization()).toBe('Bearer first');
      await clock.advance(1);
      expect(await source.authorization()).toBe('Bearer second');
      expect(await source.trust()).toEqual({ ca: 'CA 2' });
      expect(await source.renew()).toBe(false);
      write('third', 'CA 2');
      expect(await source.renew()).toBe(true);
      expect(await source.authorization()).toBe('Bearer third');
    });
  });

  it('is given to no other server', async () => {
    write('first', 'CA 1');
    await inPod(async (account) => {
      const elsewhere = { ...access, server: 'https://203.0.113.7:443', credential: { type: 'in-cluster' as const } };
      const source = credentialSourceOf(elsewhere, account, new FakeClock());
      await expect(source.authorization()).rejects.toMatchObject({ failure: 'unauthorized' });
    });
  });

  it('does not exist outside of a pod', async () => {
    const account = new PodServiceAccount(root);
    expect(await account.server()).toBeUndefined();
    await expect(account.read()).rejects.toMatchObject({ code: 'service.unavailable' });
  });
});
