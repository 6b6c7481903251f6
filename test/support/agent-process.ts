import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../agent/cli.ts', import.meta.url));

export interface AgentLine {
  readonly message: string;
  readonly job?: string;
  readonly [field: string]: unknown;
}

export interface AgentProcessOptions {
  readonly url: string;
  readonly token: string;
  readonly name: string;
  readonly credentialFile: string;
  readonly capacity?: number;
  readonly waitMs?: number;
}

/** The reference agent as a process of its own: what `npm run agent` runs. */
export class AgentProcess {
  readonly lines: AgentLine[] = [];
  private readonly child: ChildProcess;
  private errors = '';

  constructor({ url, token, name, credentialFile, capacity = 1, waitMs = 2_000 }: AgentProcessOptions) {
    const args = ['--url', url, '--token', token, '--name', name, '--credential-file', credentialFile];
    const limits = ['--capacity', String(capacity), '--wait', String(waitMs)];
    this.child = spawn(process.execPath, [CLI, ...args, ...limits], {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let rest = '';
    this.child.stdout?.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) this.lines.push(JSON.parse(part) as AgentLine);
    });
    this.child.stderr?.on('data', (chunk: Buffer) => void (this.errors += chunk.toString()));
  }

  async waitFor(matches: (line: AgentLine) => boolean, withinMs = 15_000): Promise<AgentLine> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const line = this.lines.find(matches);
      if (line) return line;
      if (this.hasEnded || performance.now() > deadline) {
        throw new Error(`the agent did not say so: ${JSON.stringify(this.lines)} ${this.errors}`);
      }
      await setTimeout(20);
    }
  }

  /** Sends the signal and resolves with the exit code (null when the signal itself ended it). */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (!this.hasEnded) {
      const closed = once(this.child, 'close');
      this.child.kill(signal);
      await closed;
    }
    return this.child.exitCode;
  }

  private get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }
}
