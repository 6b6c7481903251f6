import type { ServerTime } from '../../src/database/index.js';
import type { Clock } from '../../src/runtime/clock.js';

/** The server's time is that of the clock, so that a test moves both at once. */
export class FakeServerTime implements ServerTime {
  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  get now(): Date {
    return new Date(this.clock.now());
  }

  read(): Promise<Date> {
    return Promise.resolve(this.now);
  }
}
