import { Inject, Injectable, Logger } from '@nestjs/common';
import { Subject } from 'rxjs';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import type { Runnable } from '../../runtime/runnable.js';
import type { BusEvent } from './bus-event.js';
import type { EventMap, EventType } from './event-map.js';
import {
  EventSubscription,
  type SubscribeOptions,
  type Subscription,
  type SubscriptionTotals,
} from './event-subscription.js';
import type { RequestResult } from './gathering.js';
import type { AnswerOf, RequestOf, RequestType } from './request-map.js';
import { type RequestOptions, type RequestStats, type RespondOptions, ScatterGather } from './scatter-gather.js';
import { type RealtimeConfig, realtimeConfig } from '../realtime.config.js';

export interface SubscriptionStats extends SubscriptionTotals {
  active: number;
  depth: number;
}

export interface BusStats {
  readonly published: ReadonlyMap<EventType, number>;
  /** By name of the subscription; `active` and `depth` are of those that are open. */
  readonly subscriptions: ReadonlyMap<string, Readonly<SubscriptionStats>>;
  /** Events lost because too many were published before `start`, or because they were published after `stop`. */
  readonly unrouted: number;
  readonly requests: RequestStats;
}

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
  private readonly subjects = new Map<EventType, Subject<BusEvent>>();
  private readonly subscriptions = new Set<EventSubscription>();
  private readonly totals = new Map<string, SubscriptionTotals>();
  private readonly published = new Map<EventType, number>();
  private state: 'buffering' | 'running' | 'stopped' = 'buffering';
  private buffer: BusEvent[] = [];
  private unrouted = 0;
  private sequence = 0;
  private taken = 0;
  private readonly requests: ScatterGather;

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(realtimeConfig.token)
    private readonly config: Pick<RealtimeConfig, 'eventBufferSize'> & Partial<RealtimeConfig>,
  ) {
    this.requests = new ScatterGather(this, clock, config.eventRequestTimeoutMs ?? 10_000);
  }

  /** Why nothing is delivered now; `undefined` while events are. */
  get halted(): 'paused' | 'stopped' | undefined {
    if (this.state === 'running') return undefined;
    return this.state === 'stopped' ? 'stopped' : 'paused';
  }

  /**
   * Tells the event to the subscriptions of its type and returns how many took it; 0 until `start`, when it is kept
   * and told first. With `coalesceKey` the event is a state, superseded by the next one of that key.
   */
  publish<T extends EventType>(type: T, payload: EventMap[T], options: { coalesceKey?: string } = {}): number {
    this.sequence += 1;
    this.published.set(type, (this.published.get(type) ?? 0) + 1);
    const event = { type, payload, sequence: this.sequence, timestamp: this.clock.now(), ...options } as BusEvent;
    if (this.state === 'running') return this.deliver(event);
    if (this.state === 'buffering') this.keep(event);
    else this.unrouted += 1;
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
    const onEnd: (() => void)[] = [];
    const subscription = new EventSubscription(name, types, handler as (event: BusEvent) => void, options, {
      totals: this.totalsOf(name),
      onError: (error, event) =>
        this.log.error({ message: 'an event handler failed', subscription: name, eventType: event?.type, error }),
      onEnd: () => onEnd.forEach((end) => end()),
    });
    if (subscription.closed) return subscription;
    for (const type of new Set(types)) {
      const inner = this.subjectOf(type).subscribe((event) => {
        if (subscription.offer(event)) this.taken += 1;
      });
      onEnd.push(() => inner.unsubscribe());
    }
    this.subscriptions.add(subscription);
    onEnd.push(() => this.subscriptions.delete(subscription));
    return subscription;
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

  /** Hands over what was published before, in its order, and delivers from now on. */
  start(): Promise<void> {
    if (this.state !== 'buffering') return Promise.resolve();
    this.state = 'running';
    const { buffer } = this;
    this.buffer = [];
    for (const subscription of this.subscriptions) {
      subscription.replay(buffer.filter((event) => subscription.types.includes(event.type)));
    }
    if (this.unrouted > 0) {
      this.log.warn({ message: 'events were dropped before the start', dropped: this.unrouted, kept: buffer.length });
    }
    return Promise.resolve();
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
    this.buffer = [];
    for (const subscription of this.subscriptions) subscription.unsubscribe();
    this.subjects.clear();
  }

  stats(): BusStats {
    const subscriptions = new Map<string, SubscriptionStats>();
    for (const [name, totals] of this.totals) subscriptions.set(name, { ...totals, active: 0, depth: 0 });
    for (const { name, depth } of this.subscriptions) {
      const entry = subscriptions.get(name);
      if (!entry) continue;
      entry.active += 1;
      entry.depth += depth;
    }
    return {
      published: new Map(this.published),
      subscriptions,
      unrouted: this.unrouted,
      requests: this.requests.stats(),
    };
  }

  private async idle(deadline: AbortSignal): Promise<void> {
    const busy = (): EventSubscription[] => [...this.subscriptions].filter((each) => !each.isIdle);
    const { requests } = this;
    for (let waiting = busy(); (waiting.length > 0 || !requests.isIdle) && !deadline.aborted; waiting = busy()) {
      await Promise.all([...waiting.map((each) => each.idle()), requests.idle()]);
    }
  }

  private deliver(event: BusEvent): number {
    // Safe to count in a field: no handler runs within `next`, so `deliver` is never entered twice.
    this.taken = 0;
    this.subjects.get(event.type)?.next(event);
    return this.taken;
  }

  private keep(event: BusEvent): void {
    if (this.buffer.length >= this.config.eventBufferSize) {
      this.buffer.shift();
      this.unrouted += 1;
    }
    this.buffer.push(event);
  }

  private subjectOf(type: EventType): Subject<BusEvent> {
    const subject = this.subjects.get(type) ?? new Subject<BusEvent>();
    this.subjects.set(type, subject);
    return subject;
  }

  private totalsOf(name: string): SubscriptionTotals {
    const totals = this.totals.get(name) ?? { handled: 0, dropped: 0, coalesced: 0, errors: 0 };
    this.totals.set(name, totals);
    return totals;
  }
}
