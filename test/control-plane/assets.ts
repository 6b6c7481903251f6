import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { downloadAssets } from './download-assets.ts';

export type FoundAssets = { readonly assets: string } | { readonly reason: string };

export const programs = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'] as const;

interface Search {
  readonly env?: NodeJS.ProcessEnv;
  readonly log?: (line: string) => void;
  /** Replaceable for tests; each throws when it cannot. */
  readonly build?: (log: (line: string) => void) => Promise<string>;
  readonly download?: (log: (line: string) => void) => Promise<string>;
}

/**
 * The folder with the control plane's programs: `KUBEBUILDER_ASSETS`, else built by Go, else downloaded. A folder that is
 * named but incomplete is a reason and not a cause to look further.
 */
export async function findAssets(search: Search = {}): Promise<FoundAssets> {
  const { env = process.env, log = () => undefined, build = buildAssets, download = downloadAssets } = search;
  const named = env['KUBEBUILDER_ASSETS'];
  if (named) {
    const missing = missingPrograms(named);
    return missing.length === 0
      ? { assets: named }
      : { reason: `KUBEBUILDER_ASSETS=${named} lacks ${missing.join(', ')}` };
  }
  const reasons: string[] = [];
  for (const provide of [build, download]) {
    try {
      return { assets: await provide(log) };
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { reason: `${reasons.join('; ')}; set KUBEBUILDER_ASSETS to a folder with ${programs.join(', ')}` };
}

export function missingPrograms(folder: string): string[] {
  return programs.filter((name) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return false;
    } catch {
      return true;
    }
  });
}

/** Runs build.sh: minutes the first time, a second when everything is built. */
async function buildAssets(log: (line: string) => void): Promise<string> {
  try {
    await promisify(execFile)('go', ['version']);
  } catch {
    throw new Error('Go is not installed');
  }
  const script = join(dirname(fileURLToPath(import.meta.url)), 'build.sh');
  const child = spawn('bash', [script], { stdio: ['ignore', 'pipe', 'pipe'] });
  let lastLine = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    for (const line of chunk.split('\n').filter(Boolean)) {
      lastLine = line;
      if (line.startsWith('building ')) log(line);
    }
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close') as Promise<[number | null]>]);
  if (code !== 0) throw new Error(`build.sh failed: ${lastLine}`);
  return output.trim();
}
