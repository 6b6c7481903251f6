import { Logger } from '@nestjs/common';
import type { BusEvent } from './bus-event.js';
import { type SubscriptionState, type SubscriptionStats, SubscriptionTotals, stateOf } from './bus-stats.js';
import type { DrainSchedule } from './drain-schedule.js';
import type { DropReporter } from './drop-reporter.js';
import type { EventChannel, EventChannels } from './event-channels.js';
import type { EventSubscription, SubscriptionOwner } from './event-subscription.js';
import { LeaderSubscriptions } from './leader-subscriptions.js';
import type { Leadership } from './leadership.js';
import type { RetainedState } from './retained-state.js';

export interface RegistryPorts {
  readonly schedule: DrainSchedule;
  readonly channels: EventChannels;
  readonly retained: RetainedState;
  readonly drops: DropReporter;
  readonly leadership: Leadership;
  readonly replayLimit: number;
}

/** The open subscriptions of a bus: puts them on the channels of their types, and takes them off in the end. */
export class SubscriptionRegistry implements SubscriptionOwner {
  readonly schedule: DrainSchedule;
  readonly replayLimit: number;
  /** Subscriptions that did not take the event that is being told. */
  private refusals = 0;
  private readonly overrun = new Set<EventSubscription>();
  /** Failures of handlers and callbacks. */
  errors = 0;
  private readonly log = new Logger('EventBus');
  private readonly open = new Set<EventSubscription>();
  private readonly totals = new SubscriptionTotals();
  private readonly leaders: LeaderSubscriptions;

  constructor(private readonly ports: RegistryPorts) {
    this.schedule = ports.schedule;
    this.replayLimit = ports.replayLimit;
    this.leaders = new LeaderSubscriptions(ports.leadership);
  }

  add(subscription: EventSubscription): void {
    this.totals.know(subscription.name);
    if (subscription.closed) return;
    this.open.add(subscription);
    if (subscription.leaderOnly) this.leaders.add(subscription);
    else subscription.attach();
  }

  attach(subscription: EventSubscription): void {
    const { channels, retained } = this.ports;
    for (const type of subscription.types) {
      channels.of(type).subject.subscribe(subscription);
    }
    if (!subscription.leaderOnly) return;
    subscription.replay(retained.of(subscription.types));
    this.settleRefusals();
  }

  ended(subscription: EventSubscription): void {
    if (!this.open.delete(subscription)) return;
    this.leaders.remove(subscription);
    this.totals.add(subscription);
  }

  /** Tells the event to all subscriptions of its type; returns how many took it. */
  tell({ subject }: EventChannel, event: BusEvent): number {
    const subscribers = subject.size;
    if (subscribers === 0) return 0;
    subject.next(event);
    return this.refusals === 0 ? subscribers : subscribers - this.settleRefusals();
  }

  refused(): void {
    this.refusals += 1;
  }

  overflown(subscription: EventSubscription): void {
    this.overrun.add(subscription);
  }

  dropped(subscription: EventSubscription, event: BusEvent): void {
    this.ports.drops.dropped(subscription, event.type);
  }

  failed({ name }: { readonly name: string }, error: unknown, event?: BusEvent): void {
    this.errors += 1;
    const message = event ? 'an event handler failed' : 'a callback of the event bus failed';
    this.log.error({ message, subscription: name, eventType: event?.type, error });
  }

  /** Hands over what was published while the bus did not run. */
  replay(events: readonly BusEvent[]): void {
    if (events.length === 0) return;
    for (const subscription of this.open) {
      if (subscription.attached) subscription.replay(events.filter(({ type }) => subscription.types.includes(type)));
    }
    this.settleRefusals();
  }

  /** Those that have or handle an event. */
  busy(): EventSubscription[] {
    return [...this.open].filter((each) => !each.isIdle);
  }

  /** Ends them all. */
  stop(): void {
    this.leaders.stop();
    for (const subscription of this.open) subscription.end('stopped');
  }

  /** Ends those whose policy says so, now that nobody is being told anything; returns how many did not take the event. */
  private settleRefusals(): number {
    const { refusals } = this;
    this.refusals = 0;
    for (const subscription of this.overrun) subscription.overrun();
    this.overrun.clear();
    return refusals;
  }

  /** By name. `now` in milliseconds since the epoch. */
  stats(now: number): Map<string, SubscriptionStats> {
    return this.totals.with(this.open, now);
  }

  /** Each open one. `now` in milliseconds since the epoch. */
  states(now: number): SubscriptionState[] {
    return [...this.open].map((subscription) => stateOf(subscription, now));
  }
}
