import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findAssets, programs } from './assets.js';
import { downloadProgram } from './download-assets.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crowsnest-assets-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const silent = (): void => undefined;
const built = (): Promise<string> => Promise.resolve('/built');
const downloaded = (): Promise<string> => Promise.resolve('/downloaded');
const fails = (reason: string) => (): Promise<string> => Promise.reject(new Error(reason));

describe('findAssets', () => {
  it('takes KUBEBUILDER_ASSETS before anything else', async () => {
    for (const name of programs) writeFileSync(join(folder, name), '', { mode: 0o755 });
    const found = await findAssets({ env: { KUBEBUILDER_ASSETS: folder }, build: built, download: downloaded });
    expect(found).toEqual({ assets: folder });
  });

  it('says what a named folder lacks and looks no further', async () => {
    writeFileSync(join(folder, 'etcd'), '', { mode: 0o755 });
    writeFileSync(join(folder, 'kubectl'), 'not executable', { mode: 0o644 });
    const found = await findAssets({ env: { KUBEBUILDER_ASSETS: folder }, build: built, download: downloaded });
    expect(found).toEqual({
      reason: `KUBEBUILDER_ASSETS=${folder} lacks kube-apiserver, kube-controller-manager, kube-scheduler, kubectl`,
    });
  });

  it('builds, else downloads', async () => {
    expect(await findAssets({ env: {}, build: built, download: downloaded })).toEqual({ assets: '/built' });
    expect(await findAssets({ env: {}, build: fails('no Go'), download: downloaded })).toEqual({
      assets: '/downloaded',
    });
  });

  it('gives every reason and the way out when nothing works', async () => {
    const found = await findAssets({ env: {}, build: fails('no Go'), download: fails('offline') });
    expect(found).toEqual({
      reason: expect.stringMatching(/^no Go; offline; set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver/),
    });
  });
});

describe('downloadProgram', () => {
  const program = 'the program';

  /** Answers like the release server: the program, and its digest under `.sha256`. */
  function server(digest: string): typeof fetch {
    return (input) => {
      if (typeof input !== 'string') throw new Error('asked with a string');
      return Promise.resolve(new Response(input.endsWith('.sha256') ? `${digest}\n` : program));
    };
  }

  it('keeps a program that has its published digest, executable', async () => {
    const digest = createHash('sha256').update(program).digest('hex');
    await downloadProgram('kube-scheduler', folder, silent, server(digest));
    const file = join(folder, 'kube-scheduler');
    expect(readFileSync(file, 'utf8')).toBe(program);
    expect(statSync(file).mode & 0o111).toBe(0o111);
  });

  it('refuses one that has not', async () => {
    const wrong = createHash('sha256').update('another').digest('hex');
    await expect(downloadProgram('kube-scheduler', folder, silent, server(wrong))).rejects.toThrow(/published SHA-256/);
    expect(existsSync(join(folder, 'kube-scheduler'))).toBe(false);
  });

  it('refuses an answer other than 200', async () => {
    const missing: typeof fetch = () => Promise.resolve(new Response('no', { status: 404 }));
    await expect(downloadProgram('kube-scheduler', folder, silent, missing)).rejects.toThrow(/: 404$/);
  });
});
