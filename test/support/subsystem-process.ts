import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RunStatus } from '../../src/gateway/gen/flowwatch/v1/types_pb.js';
import { eventually } from './api-client.js';

export interface SubsystemProgramOptions {
  readonly id: string;
  readonly runs: number;
  readonly gatewayAddress: string;
  /** Where it listened before, for a restart. */
  readonly port?: number;
  /** Runs that are not as they were made, by id: what it has done before, as far as it has kept it. */
  readonly changed?: Readonly<Record<string, RunStatus>>;
}

/** A change of a run, which is told to whoever watches. */
export interface SubsystemCommand {
  readonly runId: string;
  readonly status: RunStatus;
}

/** `listens`: first. Others: what its registration went through. */
export type SubsystemLine =
  { readonly kind: 'listens'; readonly port: number } | { readonly kind: 'registered' | 'refused' | 'left' | 'lost' };

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const NODE_OPTIONS = ['--experimental-transform-types', '--disable-warning=ExperimentalWarning', '--import'];

/** A FlowWatch subsystem as a process of its own, which can be killed and stopped in its tracks. */
export class SubsystemProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly lines: readonly SubsystemLine[],
    readonly port: number,
  ) {}

  /** Resolves when it listens. Throws with what it wrote to stderr when it does not. */
  static async start(options: SubsystemProgramOptions): Promise<SubsystemProcess> {
    const args = [...NODE_OPTIONS, path('run-typescript.ts'), path('subsystem-program.ts'), JSON.stringify(options)];
    const child = spawn(process.execPath, args, {
      env: { PATH: process.env['PATH'] },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const lines: SubsystemLine[] = [];
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => void (errors += chunk.toString()));
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line) as SubsystemLine));
    const first = await eventually(
      () => Promise.resolve(child.exitCode === null ? lines[0] : errors),
      (line) => line !== undefined,
      20_000,
    );
    if (typeof first !== 'object' || first.kind !== 'listens') throw new Error(`the subsystem ended: ${errors}`);
    return new SubsystemProcess(child, lines, first.port);
  }

  /** What its registration went through. */
  get registration(): ReadonlyArray<SubsystemLine['kind']> {
    return this.lines.slice(1).map(({ kind }) => kind);
  }

  change(command: SubsystemCommand): void {
    this.child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** It takes no part in anything from now on; its connections stay open. */
  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }

  /** However it stands. Resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const closed = once(this.child, 'close');
    this.child.kill('SIGKILL');
    await closed;
  }
}
