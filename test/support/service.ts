import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
/** Just below the limit of a test, so that what it wrote is told and not that limit. */
const READY_WITHIN_MS = 28_000;

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface ServiceOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Kept between two services, for restarts; a folder of its own, removed at the end, if absent. */
  readonly dataDir?: string;
}

/** The built service as a child process: what `npm start` runs. */
export class Service {
  private constructor(
    private readonly child: ChildProcess,
    /** Every line it has logged. */
    readonly lines: LogLine[],
    private readonly output: { text: string },
    readonly dataDir: string,
    private readonly release: () => Promise<void>,
  ) {}

  /** Resolves when it is ready. Throws with its output when it ends before. */
  static async start(options: ServiceOptions = {}): Promise<Service> {
    const service = await Service.spawn(options);
    try {
      await service.waitForLine((line) => line.message === 'ready', READY_WITHIN_MS);
    } catch (error) {
      await service.dispose();
      throw error;
    }
    return service;
  }

  /** Resolves at once: for tests of the start itself. */
  static async spawn(options: ServiceOptions = {}): Promise<Service> {
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'crowsnest-e2e-')));
    const child = spawn(process.execPath, ['--enable-source-maps', '--max-semi-space-size=8', MAIN], {
      env: {
        PATH: process.env['PATH'],
        PORT: '0',
        DATA_DIR: dataDir,
        ...options.environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const lines: LogLine[] = [];
    const output = { text: '' };
    let rest = '';
    const read = (chunk: Buffer): void => {
      output.text += chunk.toString();
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part.startsWith('{')) lines.push(JSON.parse(part) as LogLine);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', (chunk: Buffer) => void (output.text += chunk.toString()));
    const release = async (): Promise<void> => {
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    };
    return new Service(child, lines, output, dataDir, release);
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the service was not started');
    return this.child.pid;
  }

  /** All that it wrote to both outputs. */
  get text(): string {
    return this.output.text;
  }

  /** `http://127.0.0.1:<port>` */
  get url(): string {
    const ready = this.lines.find((line) => line.message === 'ready');
    if (!ready) throw new Error('the service is not ready');
    return new URL(String(ready['api'])).origin;
  }

  api(path: string): string {
    return `${this.url}/api/v1${path}`;
  }

  async waitForLine(matches: (line: LogLine) => boolean, withinMs: number): Promise<LogLine> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const line = this.lines.find(matches);
      if (line) return line;
      if (this.child.exitCode !== null) throw new Error(`the service ended with ${this.child.exitCode}:\n${this.text}`);
      if (performance.now() > deadline) throw new Error(`the service did not say so in ${withinMs} ms:\n${this.text}`);
      await setTimeout(20);
    }
  }

  /** Resolves with the exit code once it has ended by itself (null when a signal ended it). */
  async exited(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    return this.child.exitCode;
  }

  /** Sends the signal and resolves with the exit code (null when the signal itself ended it). */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const exited = this.exited();
    this.child.kill(signal);
    return exited;
  }

  /** Ends it however it stands and removes its data. For `afterAll`. */
  async dispose(): Promise<void> {
    await this.end('SIGKILL');
    await this.release();
  }
}
