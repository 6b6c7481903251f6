import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

const script = `
cat > /dev/null
for file in "$0"/pids/*; do kill -9 "$(basename "$file")"; done
[ "$1" = keep ] && exit
sleep 0.2
rm -rf "$0"
`;

/**
 * Ends the processes of a control plane, and removes its folder, when the process that started it is gone however it ended:
 * a shell waits for the end of a pipe that only that process holds.
 */
export class Watchdog {
  private readonly shell: ChildProcess;
  private readonly pids: string;

  constructor(directory: string, options: { keepDirectory: boolean }) {
    this.pids = join(directory, 'pids');
    rmSync(this.pids, { recursive: true, force: true });
    mkdirSync(this.pids, { recursive: true });
    this.shell = spawn('sh', ['-c', script, directory, options.keepDirectory ? 'keep' : 'remove'], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.shell.unref();
    if (this.shell.stdin instanceof Socket) this.shell.stdin.unref();
  }

  add(pid: number): void {
    writeFileSync(join(this.pids, String(pid)), '');
  }

  remove(pid: number): void {
    rmSync(join(this.pids, String(pid)), { force: true });
  }

  async stop(): Promise<void> {
    if (this.shell.pid === undefined || this.shell.exitCode !== null || this.shell.signalCode !== null) return;
    this.shell.ref();
    const gone = once(this.shell, 'exit');
    process.kill(-this.shell.pid, 'SIGKILL');
    await gone;
  }
}
