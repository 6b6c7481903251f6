import { Inject, Injectable, Logger } from '@nestjs/common';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import type { Runnable } from '../../runtime/runnable.js';
import { type RealtimeConfig, realtimeConfig } from '../realtime.config.js';
import type { BusEvent, PublishOptions } from './bus-event.js';
import type { BusStats, SubscriptionState } from './bus-stats.js';
import { DrainSchedule } from './drain-schedule.js';
import { type CriticalDrop, DropReporter } from './drop-reporter.js';
import { EventBuffer } from './event-buffer.js';
import { type EventChannel, EventChannels } from './event-channels.js';
import { EventHistory, type RecentEventsQuery } from './event-history.js';
import type { EventMap, EventType } from './event-map.js';
import { EventSubscription } from './event-subscription.js';
import type { RequestResult } from './gathering.js';
import { LEADERSHIP, type Leadership, alwaysLeader } from './leadership.js';
import type { AnswerOf, RequestOf, RequestType } from './request-map.js';
import { RetainedState } from './retained-state.js';
import { type RequestOptions, type RespondOptions, ScatterGather } from './scatter-gather.js';
import type { SubscribeOptions, Subscription } from './subscribe-options.js';
import { SubscriptionRegistry } from './subscription-registry.js';

type BusConfig = Pick<RealtimeConfig, 'eventBufferSize'> & Partial<RealtimeConfig>;

const NO_OPTIONS: PublishOptions = {};

/**
 * Typed events between the rooms of this process.
 *
 * One Subject for each event type, so that an event costs nothing to those who did not ask for its type; behind it one
 * bounded queue for each subscription, drained after the publisher's turn. So `publish` neither blocks nor throws, a
 * handler that publishes keeps one order for all, and a slow or failing handler harms nobody else.
 */
@Injectable()
export class EventBus implements Runnable {
  readonly name = 'event bus';
  private readonly log = new Logger(EventBus.name);
  private readonly channels = new EventChannels();
  private readonly drops = new DropReporter((error) => this.registry.failed({ name: 'critical drops' }, error));
  private readonly warned = new Set<string>();
  private readonly buffer: EventBuffer;
  private readonly retained: RetainedState;
  private readonly history: EventHistory;
  private readonly schedule: DrainSchedule;
  private readonly registry: SubscriptionRegistry;
  private readonly requests: ScatterGather;
  private state: 'buffering' | 'running' | 'stopped' = 'buffering';
  private sequence = 0;
  /** Events that waited in the buffer at the stop, or were published after it. */
  private tooLate = 0;

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(realtimeConfig.token) config: BusConfig,
    @Inject(LEADERSHIP) leadership: Leadership = alwaysLeader,
  ) {
    const { eventBufferSize, eventRetainedKeys = 10_000, eventHistorySize = 1_000 } = config;
    this.buffer = new EventBuffer(eventBufferSize);
    this.retained = new RetainedState(eventRetainedKeys);
    this.history = new EventHistory(eventHistorySize);
    this.schedule = new DrainSchedule(clock);
    const { schedule, channels, retained, drops } = this;
    const replayLimit = Math.max(eventBufferSize, eventRetainedKeys);
    this.registry = new SubscriptionRegistry({ schedule, channels, retained, drops, leadership, replayLimit });
    this.requests = new ScatterGather(this, clock, config.eventRequestTimeoutMs ?? 10_000);
  }

  /** Whether events are kept instead of delivered: before `start` and after `pause`. */
  get isPaused(): boolean {
    return this.state === 'buffering';
  }

  /** Why nothing is delivered now; `undefined` while events are. */
  get halted(): 'paused' | 'stopped' | undefined {
    if (this.state === 'running') return undefined;
    return this.state === 'stopped' ? 'stopped' : 'paused';
  }

  /**
   * Tells the event to the subscriptions of its type and returns how many took it; 0 while the bus is paused or not
   * started, when it is kept and told first. With `coalesceKey` the event is a state, superseded by the next one of the
   * type with that key.
   */
  publish<T extends EventType>(type: T, payload: EventMap[T], options: PublishOptions = NO_OPTIONS): number {
    const channel = this.channels.of(type);
    channel.published += 1;
    this.sequence += 1;
    const event = {
      type,
      payload,
      sequence: this.sequence,
      timestamp: this.schedule.now(),
      coalesceKey: options.coalesceKey,
      tombstone: options.tombstone,
    } as BusEvent;
    this.history.add(event);
    if (this.state === 'running') return this.deliver(channel, event);
    if (this.state === 'buffering') this.keep(event);
    else this.tooLate += 1;
    return 0;
  }

  /**
   * Calls `handler` with each event of the types, in the order of publication.
   *
   * `name` says who it is in logs and metrics: a constant, never made of ids. Subscribe before the bus is started (in a
   * constructor or a `start` of the same or an earlier phase) to miss nothing.
   */
  subscribe<T extends EventType>(
    name: string,
    types: readonly T[],
    handler: (event: BusEvent<T>) => void | Promise<void>,
    options: SubscribeOptions = {},
  ): Subscription {
    const own = handler as (event: BusEvent) => unknown;
    const subscription = new EventSubscription(name, [...new Set(types)], own, options, this.registry);
    if (options.leaderOnly) this.retain(types);
    else if (!options.lossy && !options.lateByDesign) this.warnIfLate(name, types);
    this.registry.add(subscription);
    if (this.state === 'stopped') subscription.end('stopped');
    return subscription;
  }

  /**
   * Keeps the last event of each coalesce key of the types, for leader-only subscriptions that come later. Not needed
   * for types to which one is subscribed already, be it waiting.
   */
  retain(types: readonly EventType[]): void {
    for (const type of types) this.channels.of(type).retained = true;
  }

  /**
   * Asks the responders and gathers what they answer until there are enough answers, all have answered or failed, or
   * the time is over. Those who are not there are not waited for. Answers of others, and second ones, do not count.
   *
   * Rejects with `EventBusPaused` at once while the bus does not run, and with the signal's reason when it aborts.
   */
  request<T extends RequestType>(
    type: T,
    question: RequestOf<T>,
    options: RequestOptions,
  ): Promise<RequestResult<AnswerOf<T>>> {
    return this.requests.request(type, question, options);
  }

  /**
   * Answers requests of the type under the name `responder`. What the handler throws is its part of the result. Its
   * signal aborts when the request is over; what it returns then is ignored.
   */
  respond<T extends RequestType>(
    type: T,
    responder: string,
    handler: (question: RequestOf<T>, signal: AbortSignal) => AnswerOf<T> | Promise<AnswerOf<T>>,
    options: RespondOptions = {},
  ): Subscription {
    return this.requests.respond(type, responder, handler, options);
  }

  /** Has each loss told that somebody must not suffer: after the turn in which it happens, added up. Returns what ends that. */
  onCriticalDrop(callback: (drop: CriticalDrop) => void): () => void {
    return this.drops.onCriticalDrop(callback);
  }

  /** Hands over what was published meanwhile, in its order, and delivers from now on. */
  start(): Promise<void> {
    if (this.state !== 'buffering') return Promise.resolve();
    this.state = 'running';
    const events = this.buffer.take();
    for (const event of events) this.remember(event);
    this.registry.replay(events);
    return Promise.resolve();
  }

  /** Keeps what is published from now on until the next `start`. What was delivered already is still handled. */
  pause(): void {
    if (this.state === 'running') this.state = 'buffering';
  }

  /** Lets what was published, also by handlers meanwhile, be handled until the deadline; then ends every subscription. */
  async stop(deadline: AbortSignal): Promise<void> {
    const cut = Promise.withResolvers<void>();
    const onAbort = (): void => cut.resolve();
    if (deadline.aborted) cut.resolve();
    deadline.addEventListener('abort', onAbort, { once: true });
    await Promise.race([this.idle(deadline), cut.promise]);
    deadline.removeEventListener('abort', onAbort);
    this.state = 'stopped';
    this.requests.stop();
    this.tooLate += this.buffer.take().length;
    this.registry.stop();
  }

  stats(): BusStats {
    const buffer = this.buffer.stats();
    return {
      published: this.channels.published(),
      subscriptions: this.registry.stats(this.clock.now()),
      dropped: this.drops.counts,
      handlerErrors: this.registry.errors,
      buffer,
      unrouted: buffer.dropped + this.tooLate,
      retained: this.retained.stats(),
      requests: this.requests.stats(),
    };
  }

  /** Each open subscription. */
  openSubscriptions(): SubscriptionState[] {
    return this.registry.states(this.clock.now());
  }

  /** The last events, in the order of publication. They are the events themselves, not copies. */
  recent(query: RecentEventsQuery = {}): BusEvent[] {
    return this.history.recent(query);
  }

  private async idle(deadline: AbortSignal): Promise<void> {
    const { registry, requests } = this;
    for (
      let busy = registry.busy();
      (busy.length > 0 || !requests.isIdle) && !deadline.aborted;
      busy = registry.busy()
    ) {
      await Promise.all([...busy.map((each) => each.idle()), requests.idle()]);
    }
  }

  private deliver(channel: EventChannel, event: BusEvent): number {
    if (channel.retained) this.retained.keep(event);
    return this.registry.tell(channel, event);
  }

  private keep(event: BusEvent): void {
    const lost = this.buffer.add(event);
    if (!lost) return;
    // Nobody gets it, but it is the last state that is known of its key.
    this.remember(lost);
    this.drops.dropped(this.buffer, lost.type);
  }

  private remember(event: BusEvent): void {
    if (this.channels.of(event.type).retained) this.retained.keep(event);
  }

  private warnIfLate(subscription: string, types: readonly EventType[]): void {
    if (this.state !== 'running' || this.warned.has(subscription)) return;
    this.warned.add(subscription);
    const message = 'subscribed after the event bus was started: what was published before is missed';
    this.log.warn({ message, subscription, types });
  }
}
