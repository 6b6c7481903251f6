import type { SessionContext } from './session-context.js';
import type { SessionReader } from './session-reader.js';
import type { SlowSession } from './slow-sessions.js';

/** A session that can be behind. */
interface LaggingSession extends SlowSession {
  readonly readers: readonly SessionReader[];
}

/** How far a session is behind its channels: whether they keep what it has not got, and how much it missed all the same. */
export class SessionLag {
  private slow = false;
  private missed = 0;

  constructor(
    private readonly session: LaggingSession,
    private readonly context: SessionContext,
  ) {}

  /** Whether something is held back for it. */
  get isSlow(): boolean {
    return this.slow;
  }

  /** Bytes that its channels keep because of it, be it alone or with others. */
  get heldBytes(): number {
    let bytes = 0;
    for (const { channel, neededAfter } of this.session.readers) bytes += channel.log.statesAfter(neededAfter).bytes;
    return bytes;
  }

  /** What it has not got must stay until it has. */
  slowDown(): void {
    if (this.slow) return;
    this.slow = true;
    this.context.slow.add(this.session);
    for (const reader of this.session.readers) reader.channel.log.slowDown(reader);
  }

  /** It has everything, or needs nothing. */
  quicken(): void {
    if (!this.slow) return;
    this.slow = false;
    this.context.slow.delete(this.session);
    for (const reader of this.session.readers) reader.channel.log.quicken(reader);
  }

  /** It will not get these any more. */
  miss(events: number): void {
    this.missed += events;
    this.context.totals.dropped += events;
  }

  /** What was published after the sequence is missed too. */
  missAfter(sequence: number): void {
    for (const { channel } of this.session.readers) this.miss(channel.log.countAfter(sequence));
  }

  /** The event that tells how much was missed since the last; `undefined` if nothing was. */
  notice(): Buffer | undefined {
    const { missed } = this;
    this.missed = 0;
    if (missed === 0) return undefined;
    this.context.totals.lagged += 1;
    return this.context.encoder.control(0, 'lagged', { dropped: missed });
  }
}
