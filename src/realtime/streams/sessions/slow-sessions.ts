import type { ByteBudget } from '../channels/byte-budget.js';
import type { ChannelLog } from '../channels/channel-log.js';

/** What is given up must be worth it: until so much of the budget is free again. */
const RELIEVED = 0.75;

/** A session for which something is held back. */
export interface SlowSession {
  readonly readers: readonly { readonly channel: { readonly log: ChannelLog } }[];
  /** Bytes that are kept because of it, be it alone or with others. */
  readonly heldBytes: number;
  /** Is it too far behind? */
  review(): void;
  /** Lets go of everything that is held for it. */
  giveUp(): void;
}

/** The sessions for which something is held back: those that join, and those whose clients take no more. */
export class SlowSessions {
  private readonly sessions = new Set<SlowSession>();

  constructor(private readonly budget: ByteBudget) {}

  get size(): number {
    return this.sessions.size;
  }

  add(session: SlowSession): void {
    this.sessions.add(session);
  }

  delete(session: SlowSession): void {
    this.sessions.delete(session);
  }

  /** Lets go of what its sessions have got meanwhile, and of those that are too far behind over all their channels. */
  tidy(): void {
    // A channel looks after those that read nothing else.
    for (const session of this.sessions) if (session.readers.length > 1) session.review();
    this.recount();
  }

  private recount(): void {
    const logs = new Set([...this.sessions].flatMap(({ readers }) => readers.map(({ channel }) => channel.log)));
    for (const log of logs) log.recount();
  }

  /** While more is held than may be, gives up those that hold most. */
  relieve(): void {
    if (!this.budget.isExceeded) return;
    this.recount();
    if (!this.budget.isExceeded) return;
    const holders = [...this.sessions].map((session) => ({ session, bytes: session.heldBytes }));
    for (const { session, bytes } of holders.toSorted((a, b) => b.bytes - a.bytes)) {
      if (bytes === 0 || this.budget.usedBytes <= this.budget.maxBytes * RELIEVED) return;
      session.giveUp();
      for (const { channel } of session.readers) channel.log.recount();
    }
  }
}
