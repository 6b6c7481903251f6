import type { Writable } from 'node:stream';

/** The writing side of one client's connection: whether it takes more, how much it holds back, and its end. */
export class SseConnection {
  private blocked = false;
  private ending = false;
  private gone = false;
  private waiters: (() => void)[] = [];
  private writtenBytes = 0;
  private takenBytes = 0;
  private progressAtMs: number;
  private wroteAtMs: number;

  /** `output` is the response, its head written. `onDrain` is called when it takes bytes again. */
  constructor(
    private readonly output: Writable,
    private readonly now: () => number,
    private readonly onDrain: () => void,
    private readonly onClose: () => void,
  ) {
    this.progressAtMs = now();
    this.wroteAtMs = now();
    output.on('drain', this.drained);
    output.once('close', this.closed);
    // Without a listener the error of a reset connection would end the process; `close` follows it.
    output.on('error', () => output.destroy());
  }

  get writable(): boolean {
    return !this.blocked && !this.ending && !this.gone;
  }

  /** Nothing can be written any more. */
  get isOver(): boolean {
    return this.ending || this.gone;
  }

  /** Milliseconds since the last write. */
  get idleMs(): number {
    return this.now() - this.wroteAtMs;
  }

  write(bytes: Buffer): void {
    if (this.ending || this.gone) return;
    this.wroteAtMs = this.now();
    this.writtenBytes += bytes.length;
    if (!this.output.write(bytes)) this.blocked = true;
  }

  /** Resolves when the client takes bytes, or the connection ends. */
  ready(): Promise<void> {
    if (!this.blocked || this.ending || this.gone) return Promise.resolve();
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  /** Ends the response cleanly: what was written still goes out. */
  end(): void {
    if (this.ending || this.gone) return;
    this.ending = true;
    this.output.end();
    this.wake();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.output.destroy();
  }

  /** Whether data has been waiting for `limitMs` of which the client has taken nothing. Called at each tick. */
  isStalled(limitMs: number): boolean {
    const waitingBytes = this.output.writableLength;
    // What HTTP adds to a write waits too, so this is too little rather than too much.
    const takenBytes = this.writtenBytes - waitingBytes;
    if (waitingBytes === 0 || takenBytes > this.takenBytes) this.progressAtMs = this.now();
    this.takenBytes = takenBytes;
    return this.now() - this.progressAtMs >= limitMs;
  }

  private readonly drained = (): void => {
    this.blocked = false;
    this.progressAtMs = this.now();
    this.wake();
    if (!this.gone) this.onDrain();
  };

  private readonly closed = (): void => {
    this.gone = true;
    this.output.off('drain', this.drained);
    this.wake();
    this.onClose();
  };

  private wake(): void {
    const { waiters } = this;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  }
}
