import { Inject, Injectable, Logger } from '@nestjs/common';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { CriticalDrop } from './bus/drop-reporter.js';
import { EventBus } from './bus/event-bus.js';

/** A subscriber that cannot keep up loses events in every turn; the log is told of it once in this time. */
const EVERY_MS = 10_000;

/** Says in the log when somebody lost events who must not: at once, then what came since, added up. */
@Injectable()
export class CriticalDropLog {
  private readonly log = new Logger(EventBus.name);
  private readonly last = new Map<string, { atMs: number; unsaid: number }>();

  constructor(
    bus: EventBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    bus.onCriticalDrop((drop) => this.note(drop));
  }

  private note(drop: CriticalDrop): void {
    const key = `${drop.eventType} ${drop.subscription}`;
    const now = this.clock.monotonic();
    const entry = this.last.get(key) ?? { atMs: Number.NEGATIVE_INFINITY, unsaid: 0 };
    this.last.set(key, entry);
    entry.unsaid += drop.count;
    if (now - entry.atMs < EVERY_MS) return;
    this.log.error({ message: 'events were lost: a subscriber does not keep up', ...drop, count: entry.unsaid });
    entry.atMs = now;
    entry.unsaid = 0;
  }
}
