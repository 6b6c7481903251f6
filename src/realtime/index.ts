export type { BusEvent } from './bus-event.js';
export { type BusStats, EventBus, type Subscription } from './event-bus.js';
export type { EventMap, EventType } from './event-map.js';
export type { OverflowPolicy, SubscribeOptions } from './event-subscription.js';
export { type RealtimeConfig, realtimeConfig } from './realtime.config.js';
export { RealtimeModule } from './realtime.module.js';
export { SseBroadcaster, type StreamStats } from './sse-broadcaster.js';
export type { StreamEventName, StreamItem, StreamTopic } from './stream-topic.js';
