import type { Clock } from '../../runtime/clock.js';

/** Something with work to do, a little at a time. */
export interface Drainable {
  /** Does some of it; `turn` changes when timers and sockets had theirs. Never throws. */
  drain(turn: number): void;
}

/**
 * When the subscriptions of a bus are drained: after the publisher's turn, all that have events in one go, so that a
 * publish costs no microtask of its own.
 */
export class DrainSchedule {
  private ready: Drainable[] = [];
  private deferred: Drainable[] = [];
  private scheduled = false;
  private turn = 0;
  private turnEnds = false;
  /** While a drain is due; `undefined` when it has to be read again. */
  private time: number | undefined;

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  /**
   * Milliseconds since the epoch. While a drain is due the clock is not read again, for that takes longer than all the
   * rest of a publish; so a burst within one turn has one time.
   */
  now(): number {
    if (!this.scheduled) return this.clock.now();
    this.time ??= this.clock.now();
    return this.time;
  }

  /** Has it drained soon, before timers and sockets. */
  add(drainable: Drainable): void {
    this.ready.push(drainable);
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(this.run);
  }

  /** Has it drained in the next turn of the event loop. */
  defer(drainable: Drainable): void {
    this.deferred.push(drainable);
  }

  private readonly run = (): void => {
    if (!this.turnEnds) {
      this.turnEnds = true;
      setImmediate(this.endTurn);
    }
    // Grows while handlers publish; no `add` schedules another run until this one is through.
    for (const drainable of this.ready) {
      this.time = undefined;
      drainable.drain(this.turn);
    }
    this.ready = [];
    this.time = undefined;
    this.scheduled = false;
  };

  private readonly endTurn = (): void => {
    this.turnEnds = false;
    this.turn += 1;
    const { deferred } = this;
    this.deferred = [];
    for (const drainable of deferred) this.add(drainable);
  };
}
