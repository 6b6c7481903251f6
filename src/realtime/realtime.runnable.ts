import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { Runnable } from '../runtime/runnable.js';
import { StopReason } from '../runtime/stop-reason.js';
import { EventBus } from './bus/event-bus.js';
import { SseBroadcaster } from './streams/sse-broadcaster.js';

/** A handler that hangs may keep the goodbye of the streams waiting this long, no longer. */
const BUS_STOP_MS = 1_000;

/** Stops the bus before the streams, so that the last events still reach the clients. */
@Injectable()
export class RealtimeRunnable implements Runnable {
  readonly name = 'realtime';

  constructor(
    private readonly bus: EventBus,
    private readonly broadcaster: SseBroadcaster,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async start(): Promise<void> {
    await this.broadcaster.start();
    await this.bus.start();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const late = new AbortController();
    const timer = this.clock.after(BUS_STOP_MS, () => late.abort(new StopReason(this.bus.name)));
    await this.bus.stop(AbortSignal.any([deadline, late.signal]));
    timer.cancel();
    await this.broadcaster.stop(deadline);
  }
}
