import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { duration, integer } from '../config/setting-types.js';

export const realtimeConfig = defineConfig('realtime', {
  eventBufferSize: setting('CROWSNEST_EVENT_BUFFER_SIZE', integer(1, 1_000_000), {
    default: '1000',
    description: 'Events kept while the event bus is not started or paused; the oldest is dropped for one more.',
  }),
  eventRetainedKeys: setting('CROWSNEST_EVENT_RETAINED_KEYS', integer(1, 10_000_000), {
    default: '10000',
    description: 'Keys whose last state the event bus keeps for a new leader; the least recently changed goes first.',
  }),
  eventHistorySize: setting('CROWSNEST_EVENT_HISTORY_SIZE', integer(1, 1_000_000), {
    default: '1000',
    description: 'Recent events that the event bus can show.',
  }),
  eventRequestTimeoutMs: setting('CROWSNEST_EVENT_REQUEST_TIMEOUT', duration({ minMs: 10, maxMs: 600_000 }), {
    default: '10s',
    description: 'How long a request over the event bus waits for answers, unless the asker says otherwise.',
  }),
  streamKeepAliveMs: setting('CROWSNEST_STREAM_KEEP_ALIVE', duration({ minMs: 100, maxMs: 600_000 }), {
    default: '15s',
    description: 'A stream without traffic for this long gets a heartbeat.',
  }),
  streamStallMs: setting('CROWSNEST_STREAM_STALL_TIMEOUT', duration({ minMs: 100 }), {
    default: '20s',
    description: 'A stream whose client takes no byte for this long while data waits is cut.',
  }),
  streamMaxAgeMs: setting('CROWSNEST_STREAM_MAX_AGE', duration({ minMs: 1_000 }), {
    default: '1h',
    description: 'A stream ends after this time, give or take 10 %, and its client connects again.',
  }),
  streamRetryMs: setting('CROWSNEST_STREAM_RETRY', duration({ minMs: 10, maxMs: 600_000 }), {
    default: '3s',
    description: 'How long clients wait before they connect again, give or take half.',
  }),
  streamsPerPrincipal: setting('CROWSNEST_STREAMS_PER_PRINCIPAL', integer(1, 1_000_000), {
    default: '100',
    description: 'Streams that one principal may have open.',
  }),
  streamTicketLifetimeMs: setting('CROWSNEST_STREAM_TICKET_LIFETIME', duration({ minMs: 60_000 }), {
    default: '12h',
    description: 'How long a stream ticket, once used, lets its client come back.',
  }),
  streamQueueEvents: setting('CROWSNEST_STREAM_QUEUE_EVENTS', integer(1, 1_000_000), {
    default: '256',
    description: 'Events that may wait for a slow stream client before it is told that it lags.',
  }),
  streamQueueBytes: setting('CROWSNEST_STREAM_QUEUE_BYTES', integer(1_024, 1 << 30), {
    default: '262144',
    description: 'Bytes of events that may wait for a slow stream client before it is told that it lags.',
  }),
  streamBudgetBytes: setting('CROWSNEST_STREAM_BUDGET_BYTES', integer(1_024, 2 ** 40), {
    default: '134217728',
    description: 'Bytes of events and snapshots that may wait for all slow stream clients together.',
  }),
  streamReplayEvents: setting('CROWSNEST_STREAM_REPLAY_EVENTS', integer(0, 10_000_000), {
    default: '10000',
    description: 'Newest events, of all streams together, that a client which comes back can resume from.',
  }),
  streamReplayBytes: setting('CROWSNEST_STREAM_REPLAY_BYTES', integer(0, 2 ** 40), {
    default: '33554432',
    description: 'Bytes of these events.',
  }),
  streamReplayWindowMs: setting('CROWSNEST_STREAM_REPLAY_WINDOW', duration({ maxMs: 86_400_000 }), {
    default: '5m',
    description: 'How long a stream that nobody follows any more can be resumed.',
  }),
  streamDrainSpreadMs: setting('CROWSNEST_STREAM_DRAIN_SPREAD', duration({ maxMs: 600_000 }), {
    default: '2s',
    description: 'Time over which many streams end when the service stops; never more than half of what is left of it.',
  }),
});

export type RealtimeConfig = ConfigOf<typeof realtimeConfig>;
