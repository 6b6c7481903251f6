import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Node's options of `npm start`. */
export function startOptions(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } };
  return scripts.start.split(' ').filter((word) => word.startsWith('--'));
}

/** The built service, started as `npm start` does it, on a data directory of its own. */
export class ServiceProcess {
  readonly child: Child;
  readonly dataDir: string;
  private readonly ownsDataDir: boolean;
  private url = '';

  constructor(options: { dataDir?: string; environment?: Record<string, string> } = {}) {
    this.dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'crowsnest-bench-'));
    this.ownsDataDir = options.dataDir === undefined;
    const environment = { PORT: '0', DATA_DIR: this.dataDir, ...options.environment };
    this.child = new Child([...startOptions(), join(ROOT, 'dist/main.js')], environment);
  }

  /** Resolves when it says that it is ready. */
  async ready(): Promise<this> {
    for (;;) {
      const line = await this.child.line();
      if (!line.startsWith('{')) continue;
      const { message, api } = JSON.parse(line) as { message: string; api?: string };
      if (message === 'ready' && api !== undefined) {
        this.url = new URL(api).origin;
        return this;
      }
    }
  }

  get origin(): string {
    return this.url;
  }

  /** One call of the API; throws with the answer unless it is 2xx. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as T;
  }

  async end(): Promise<void> {
    await this.child.end();
    if (this.ownsDataDir) rmSync(this.dataDir, { recursive: true, force: true });
  }
}
