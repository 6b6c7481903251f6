import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** A process of the benchmark's own, whose lines are read as they come. */
export class Child {
  readonly pid: number;
  private readonly process: ChildProcess;
  private readonly lines: string[] = [];
  private waiting: Array<() => void> = [];
  private rest = '';
  private errors = '';

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.process = spawn(process.execPath, args, {
      env: { PATH: process.env.PATH, NODE_NO_WARNINGS: '1', ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    if (this.process.pid === undefined) throw new Error('the process could not be started');
    this.pid = this.process.pid;
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => this.take(text));
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    this.process.on('close', () => this.wake());
  }

  /** The next line of its output. Throws with what it wrote to stderr when it ends before. */
  async line(): Promise<string> {
    for (;;) {
      const line = this.lines.shift();
      if (line !== undefined) return line;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`${this.process.spawnargs.join(' ')} ended with ${this.process.exitCode}: ${this.errors}`);
      }
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  say(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  endInput(): void {
    this.process.stdin?.end();
  }

  /** Resident now, in bytes. */
  get residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  /** User and system time so far, in seconds. */
  get cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const closed = once(this.process, 'close');
    this.process.kill(signal);
    await closed;
  }

  private take(text: string): void {
    const parts = (this.rest + text).split('\n');
    this.rest = parts.pop() ?? '';
    this.lines.push(...parts);
    this.wake();
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
