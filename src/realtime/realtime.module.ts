import { Global, Module } from '@nestjs/common';
import { LifecycleRegistry } from '../lifecycle/lifecycle-registry.js';
import { EventBus } from './bus/event-bus.js';
import { RealtimeMetrics } from './realtime.metrics.js';
import { RealtimeRunnable } from './realtime.runnable.js';
import { SseBroadcaster } from './streams/sse-broadcaster.js';
import { StreamsController } from './streams/streams.controller.js';

/** Events between the rooms, and their way to browsers. */
@Global()
@Module({
  controllers: [StreamsController],
  providers: [EventBus, SseBroadcaster, RealtimeRunnable, RealtimeMetrics],
  exports: [EventBus, SseBroadcaster],
})
export class RealtimeModule {
  constructor(lifecycle: LifecycleRegistry, runnable: RealtimeRunnable) {
    lifecycle.register('streams', runnable);
  }
}
