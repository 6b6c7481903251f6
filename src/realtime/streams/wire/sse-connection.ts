import type { Writable } from 'node:stream';
import { type SseOutput, outputOf } from './sse-output.js';

/** The writing side of one client's connection: whether it takes more, how much it holds back, and its end. */
export class SseConnection {
  private blocked = false;
  private ending = false;
  private gone = false;
  private readonly output: SseOutput;
  private takenBytes = 0;
  private progressAtMs: number;
  private wroteAtMs: number;

  /** The response's head is written. `onDrain` is called when it takes bytes again. */
  constructor(
    private readonly response: Writable,
    private readonly now: () => number,
    private readonly onDrain: () => void,
    private readonly onClose: () => void,
  ) {
    this.progressAtMs = now();
    this.wroteAtMs = now();
    this.output = outputOf(response);
    this.output.onDrain(this.drained);
    response.once('close', this.closed);
    response.on('error', destroyAfterError);
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

  /** Nobody may change the bytes afterwards: they go to other clients too. */
  write(bytes: Buffer): void {
    if (this.ending || this.gone) return;
    this.wroteAtMs = this.now();
    if (!this.output.write(bytes)) this.blocked = true;
  }

  /** Ends the response cleanly: what was written still goes out. */
  end(): void {
    if (this.ending || this.gone) return;
    this.ending = true;
    this.response.end();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.response.destroy();
  }

  /** Whether data has been waiting for `limitMs` of which the client has taken nothing. Called at each tick. */
  isStalled(limitMs: number): boolean {
    const { waitingBytes, takenBytes } = this.output;
    if (waitingBytes === 0 || takenBytes > this.takenBytes) this.progressAtMs = this.now();
    this.takenBytes = takenBytes;
    return this.now() - this.progressAtMs >= limitMs;
  }

  private readonly drained = (): void => {
    this.blocked = false;
    this.progressAtMs = this.now();
    if (!this.gone) this.onDrain();
  };

  private readonly closed = (): void => {
    this.gone = true;
    this.output.offDrain(this.drained);
    this.onClose();
  };
}

/** Without a listener the error of a reset connection would end the process; `close` follows it. */
function destroyAfterError(this: Writable): void {
  this.destroy();
}
