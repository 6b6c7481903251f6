export type { BusEvent } from './bus/bus-event.js';
export { type BusStats, EventBus, type Subscription } from './bus/event-bus.js';
export type { EventMap, EventType } from './bus/event-map.js';
export type { OverflowPolicy, SubscribeOptions } from './bus/event-subscription.js';
export { type RealtimeConfig, realtimeConfig } from './realtime.config.js';
export { RealtimeModule } from './realtime.module.js';
export { SseBroadcaster, type StreamStats } from './streams/sse-broadcaster.js';
export type { StreamEventName, StreamItem, StreamTopic } from './streams/stream-topic.js';
