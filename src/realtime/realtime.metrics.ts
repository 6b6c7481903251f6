import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, type Registry } from 'prom-client';
import { METRICS_REGISTRY } from '../metrics/metrics-registry.js';
import type { SubscriptionStats } from './bus/bus-stats.js';
import { EventBus } from './bus/event-bus.js';
import { SseBroadcaster, type StreamStats } from './streams/sse-broadcaster.js';

/** One value, or one for each value of the label. */
type Sample = number | Iterable<readonly [label: string, value: number]>;

/** What the bus and the streams count, read at the moment of the scrape. */
@Injectable()
export class RealtimeMetrics {
  constructor(
    @Inject(METRICS_REGISTRY) private readonly registry: Registry,
    private readonly bus: EventBus,
    private readonly broadcaster: SseBroadcaster,
  ) {
    this.measureEvents();
    this.measureStreams();
  }

  private measureEvents(): void {
    const { bus } = this;
    const by = (pick: (stats: SubscriptionStats) => number) => (): Sample =>
      [...bus.stats().subscriptions].map(([name, stats]) => [name, pick(stats)] as const);
    const perSubscription = (
      kind: 'counter' | 'gauge',
      name: string,
      help: string,
      pick: (stats: SubscriptionStats) => number,
    ): void => this[kind](name, help, by(pick), 'subscription');

    this.counter('event_published_total', 'Events published on the bus', () => bus.stats().published, 'type');
    this.counter('event_unrouted_total', 'Events lost around start and stop of the bus', () => bus.stats().unrouted);
    const losses = (): Sample => {
      const { critical, observability } = bus.stats().dropped;
      return Object.entries({ critical, observability });
    };
    this.counter('event_losses_total', 'Events lost, by whether that may happen', losses, 'importance');
    this.gauge('event_buffered', 'Events kept while the bus is paused', () => bus.stats().buffer.length);
    this.gauge('event_retained_keys', 'Keys whose last state is kept for a leader', () => bus.stats().retained.keys);
    perSubscription('gauge', 'event_subscriptions', 'Open subscriptions', (stats) => stats.active);
    perSubscription('gauge', 'event_queue_length', 'Events that wait for a handler', (stats) => stats.depth);
    perSubscription('gauge', 'event_queue_high_water', 'The most that ever waited', (stats) => stats.highWater);
    perSubscription('gauge', 'event_lag_seconds', 'Age of the oldest that waits', (stats) => stats.lagMs / 1_000);
    perSubscription('counter', 'event_handled_total', 'Events given to a handler', (stats) => stats.handled);
    perSubscription('counter', 'event_dropped_total', 'Events lost to a full queue', (stats) => stats.dropped);
    perSubscription('counter', 'event_superseded_total', 'States left out for later ones', (stats) => stats.superseded);
    perSubscription('counter', 'event_handler_errors_total', 'Events whose handler failed', (stats) => stats.errors);
  }

  private measureStreams(): void {
    const stream = (
      kind: 'counter' | 'gauge',
      name: string,
      help: string,
      pick: (stats: StreamStats) => number,
    ): void => this[kind](`stream_${name}`, help, () => pick(this.broadcaster.stats()));

    const byTopic = (): Sample => Object.entries(this.broadcaster.stats().sessionsByTopic);
    this.gauge('stream_sessions', 'Open event streams', byTopic, 'topic');
    stream('gauge', 'slow_sessions', 'Streams whose client takes less than there is', (stats) => stats.slowSessions);
    stream('gauge', 'queued_bytes', 'Bytes that wait for slow clients', (stats) => stats.queuedBytes);
    stream('gauge', 'budget_bytes', 'Bytes that may wait for slow clients', (stats) => stats.budgetBytes);
    stream('gauge', 'warm_keys', 'Keys that can be resumed', (stats) => stats.warmKeys);
    stream('gauge', 'replay_bytes', 'Bytes kept for clients that come back', (stats) => stats.replayBytes);
    stream('counter', 'replay_evicted_events_total', 'Changes no longer kept for that', (stats) => stats.replayEvicted);
    stream('counter', 'published_events_total', 'Changes published to stream keys', (stats) => stats.published);
    stream('counter', 'sent_events_total', 'Changes written to clients', ({ totals }) => totals.events);
    stream('counter', 'sent_bytes_total', 'Bytes written to clients', ({ totals }) => totals.bytes);
    stream('counter', 'snapshots_total', 'Snapshots sent to clients', ({ totals }) => totals.snapshots);
    stream(
      'counter',
      'shared_snapshots_total',
      'Of these, read for another client',
      ({ totals }) => totals.snapshotsShared,
    );
    stream('counter', 'resumed_total', 'Clients that went on where they were', ({ totals }) => totals.resumed);
    stream('counter', 'replayed_events_total', 'Changes that these had missed', ({ totals }) => totals.replayed);
    stream('counter', 'lagged_total', 'Times a client was told that it missed events', ({ totals }) => totals.lagged);
    stream('counter', 'dropped_events_total', 'Changes given up for slow clients', ({ totals }) => totals.dropped);
    stream('counter', 'coalesced_events_total', 'Superseded states left out', ({ totals }) => totals.coalesced);
    stream('counter', 'stalled_total', 'Streams cut as the client took nothing', ({ totals }) => totals.stalled);
  }

  private counter(name: string, help: string, read: () => Sample, label?: string): void {
    this.register(Counter<string>, name, help, read, label);
  }

  private gauge(name: string, help: string, read: () => Sample, label?: string): void {
    this.register(Gauge<string>, name, help, read, label);
  }

  private register(
    Metric: typeof Counter<string> | typeof Gauge<string>,
    name: string,
    help: string,
    read: () => Sample,
    label?: string,
  ): void {
    const metric = new Metric({
      name: `crowsnest_${name}`,
      help: `${help}.`,
      labelNames: label === undefined ? [] : [label],
      registers: [this.registry],
      collect: () => {
        const sample = read();
        metric.reset();
        if (typeof sample === 'number') metric.inc({}, sample);
        else if (label !== undefined) for (const [value, count] of sample) metric.inc({ [label]: value }, count);
      },
    });
  }
}
