import { Logger } from '@nestjs/common';
import type { BusEvent } from './bus-event.js';
import { type SubscriptionState, type SubscriptionStats, SubscriptionTotals, stateOf } from './bus-stats.js';
import { DrainSchedule } from './drain-schedule.js';
import type { DropReporter } from './drop-reporter.js';
import type { EventChannels } from './event-channels.js';
import type { EventSubscription, SubscriptionOwner } from './event-subscription.js';
import { LeaderSubscriptions } from './leader-subscriptions.js';
import type { Leadership } from './leadership.js';
import type { RetainedState } from './retained-state.js';

export interface RegistryPorts {
  readonly channels: EventChannels;
  readonly retained: RetainedState;
  readonly drops: DropReporter;
  readonly leadership: Leadership;
  readonly replayLimit: number;
}

/** The open subscriptions of a bus: puts them on the channels of their types, and takes them off in the end. */
export class SubscriptionRegistry implements SubscriptionOwner {
  readonly schedule = new DrainSchedule();
  readonly replayLimit: number;
  /** Subscriptions that did not take the event that is being published. */
  refusals = 0;
  /** Failures of handlers and callbacks. */
  errors = 0;
  private readonly log = new Logger('EventBus');
  private readonly open = new Set<EventSubscription>();
  private readonly totals = new SubscriptionTotals();
  private readonly leaders: LeaderSubscriptions;

  constructor(private readonly ports: RegistryPorts) {
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
      const channel = channels.of(type);
      channel.open += 1;
      channel.subject.subscribe(subscription);
    }
    if (subscription.leaderOnly) subscription.replay(retained.of(subscription.types));
  }

  ended(subscription: EventSubscription): void {
    if (!this.open.delete(subscription)) return;
    this.leaders.remove(subscription);
    this.totals.add(subscription);
    if (!subscription.attached) return;
    for (const type of subscription.types) this.ports.channels.of(type).open -= 1;
  }

  refused(): void {
    this.refusals += 1;
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

  /** By name. `now` in milliseconds since the epoch. */
  stats(now: number): Map<string, SubscriptionStats> {
    return this.totals.with(this.open, now);
  }

  /** Each open one. `now` in milliseconds since the epoch. */
  states(now: number): SubscriptionState[] {
    return [...this.open].map((subscription) => stateOf(subscription, now));
  }
}
