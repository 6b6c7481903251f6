/**
 * Anything that runs in the background.
 *
 * `start` resolves once it is up; `stop` resolves only when nothing of it is left running: no timer, socket or promise.
 * Both are idempotent, and `stop` before or during `start` is legal. `stop`'s signal aborts when the time for a
 * graceful end is over: what is still in progress is then cut.
 */
export interface Runnable {
  readonly name: string;
  start(signal: AbortSignal): Promise<void>;
  stop(deadline: AbortSignal): Promise<void>;
}
