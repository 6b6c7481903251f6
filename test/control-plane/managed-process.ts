import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Watchdog } from './watchdog.ts';

export interface ProcessSettings {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Standard output and error are appended here. */
  readonly logFile: string;
  readonly watchdog: Watchdog;
  /** Asked every 50 ms after the start until it says yes. */
  readonly isReady: () => Promise<boolean>;
  readonly startTimeoutMs?: number;
}

/** One program of the control plane: started, killed and started again with the same arguments. */
export class ManagedProcess {
  private readonly settings: ProcessSettings;
  private child: ChildProcess | undefined;

  constructor(settings: ProcessSettings) {
    this.settings = settings;
  }

  get pid(): number | undefined {
    return this.isRunning() ? this.child?.pid : undefined;
  }

  isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** @throws Error with the end of its log when it exits or does not become ready in time. */
  async start(): Promise<void> {
    const { name, startTimeoutMs = 60_000 } = this.settings;
    if (this.isRunning()) return;
    await this.spawn();
    const deadline = performance.now() + startTimeoutMs;
    while (!(await this.settings.isReady())) {
      if (!this.isRunning()) throw new Error(`${name} exited before it was ready:\n${this.logTail()}`);
      if (performance.now() > deadline) {
        await this.kill();
        throw new Error(`${name} was not ready within ${startTimeoutMs} ms:\n${this.logTail()}`);
      }
      await delay(50);
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.isRunning()) throw new Error(`${this.settings.name} is not running`);
    this.child?.kill(signal);
  }

  /** Resolves when the process is gone; one that outlives `graceMs` is killed. */
  async kill(signal: NodeJS.Signals = 'SIGKILL', graceMs = 5000): Promise<void> {
    const child = this.child;
    if (!child || !this.isRunning()) return;
    child.ref();
    const gone = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await gone;
    clearTimeout(timer);
  }

  logTail(lines = 15): string {
    return readFileSync(this.settings.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  private async spawn(): Promise<void> {
    const { command, args, logFile, watchdog } = this.settings;
    const log = openSync(logFile, 'a', 0o600);
    // Detached: Ctrl-C in a terminal reaches its whole process group, and the order of the end is ours.
    const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    await once(child, 'spawn');
    this.child = child;
    const pid = child.pid;
    if (pid !== undefined) {
      watchdog.add(pid);
      child.once('exit', () => watchdog.remove(pid));
    }
    child.unref();
  }
}
