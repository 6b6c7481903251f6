import type { BacklogLimits } from '../channels/channel-log.js';
import type { SlowSessions } from './slow-sessions.js';
import type { StreamEncoder } from '../wire/stream-event.js';
import type { StreamTotals } from '../stream-stats.js';

/** What the sessions of a process have in common. */
export interface SessionContext {
  readonly encoder: StreamEncoder;
  readonly limits: BacklogLimits;
  readonly keepAliveMs: number;
  readonly stallMs: number;
  readonly slow: SlowSessions;
  readonly totals: StreamTotals;
  /** Newest place in the order of the process. */
  readonly sequence: () => number;
  /** Milliseconds on a monotonic clock. */
  readonly now: () => number;
  /** Calls `pump` in another turn. */
  readonly later: (session: { pump(): void }) => void;
  readonly onError: (error: unknown) => void;
}

export interface SessionOptions {
  readonly maxAgeMs: number;
  /** Called once, when the first event is written. */
  readonly onStarted: (() => void) | undefined;
  /** Called once, when the connection is gone. */
  readonly onClosed: () => void;
}
