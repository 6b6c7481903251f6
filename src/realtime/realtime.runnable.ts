import { Inject, Injectable } from '@nestjs/common';
import { type LifecycleConfig, lifecycleConfig } from '../lifecycle/lifecycle.config.js';
import { PHASE_SHARE } from '../lifecycle/phases.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { Runnable } from '../runtime/runnable.js';
import { StopReason } from '../runtime/stop-reason.js';
import { EventBus } from './bus/event-bus.js';
import { type RealtimeConfig, realtimeConfig } from './realtime.config.js';
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
    @Inject(realtimeConfig.token) private readonly config: Pick<RealtimeConfig, 'streamDrainSpreadMs'>,
    @Inject(lifecycleConfig.token) private readonly lifecycle: Pick<LifecycleConfig, 'shutdownTimeoutMs'>,
  ) {}

  async start(): Promise<void> {
    await this.broadcaster.start();
    await this.bus.start();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const begun = this.clock.monotonic();
    const late = new AbortController();
    const timer = this.clock.after(BUS_STOP_MS, () => late.abort(new StopReason(this.bus.name)));
    await this.bus.stop(AbortSignal.any([deadline, late.signal]));
    timer.cancel();
    // Half of what the phase has left: the other half is for clients that take their goodbye slowly.
    const phaseMs = this.lifecycle.shutdownTimeoutMs * PHASE_SHARE.streams;
    const leftMs = Math.max(0, phaseMs - (this.clock.monotonic() - begun));
    await this.broadcaster.stop(deadline, Math.min(this.config.streamDrainSpreadMs, leftMs / 2));
  }
}
