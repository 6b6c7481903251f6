import type { Clock } from '../../../runtime/clock.js';
import type { SessionRegistry } from './session-registry.js';
import type { SseSession } from './sse-session.js';

/** Each session may have so much of the spread; a few need none. */
const MS_PER_SESSION = 2;
const FEW = 50;
const STEP_MS = 50;

export interface DrainOptions {
  /** Time over which the ends are spread at most, so that the clients do not all come back at once. */
  readonly spreadMs: number;
  /** Ends one session cleanly, with its last event. */
  readonly end: (session: SseSession) => void;
}

/** Ends all sessions, spread over time, and cuts at the deadline those that did not take it. Resolves when none is left. */
export async function drainSessions(
  sessions: SessionRegistry,
  clock: Clock,
  deadline: AbortSignal,
  options: DrainOptions,
): Promise<void> {
  const all = [...sessions.all()];
  const steps = stepsFor(all.length, options.spreadMs);
  const perStep = Math.ceil(all.length / steps);
  for (let begin = 0; begin < all.length && !deadline.aborted; begin += perStep) {
    for (const session of all.slice(begin, begin + perStep)) options.end(session);
    // At the deadline the wait is over, and with it the spread.
    if (begin + perStep < all.length) await clock.sleep(STEP_MS, deadline).catch(() => undefined);
  }
  const cut = (): void => {
    for (const session of sessions.all()) session.destroy();
  };
  if (deadline.aborted) cut();
  deadline.addEventListener('abort', cut, { once: true });
  await sessions.whenEmpty();
  deadline.removeEventListener('abort', cut);
}

function stepsFor(count: number, spreadMs: number): number {
  if (count <= FEW) return 1;
  return Math.max(1, Math.floor(Math.min(spreadMs, count * MS_PER_SESSION) / STEP_MS));
}
