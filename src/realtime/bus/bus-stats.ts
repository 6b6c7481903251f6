import type { DropCounts } from './drop-reporter.js';
import type { BufferStats } from './event-buffer.js';
import type { EventType } from './event-map.js';
import type { EventSubscription } from './event-subscription.js';
import type { RetainedStats } from './retained-state.js';
import type { RequestStats } from './scatter-gather.js';
import type { OverflowPolicy } from './subscribe-options.js';

/** What is counted of a subscription, or of all those of one name, also after they have ended. */
export interface SubscriptionCounts {
  /** Events given to the handler. */
  readonly handled: number;
  /** Events lost to a full queue. */
  readonly dropped: number;
  /** States left out for a later one. */
  readonly superseded: number;
  /** Events whose handler failed, and callbacks that did. */
  readonly errors: number;
  /** The most events that ever waited. */
  readonly highWater: number;
}

/** All subscriptions of one name. */
export interface SubscriptionStats extends SubscriptionCounts {
  /** Open ones; those that wait for leadership included. */
  readonly active: number;
  /** Events that wait, of all together. */
  readonly depth: number;
  /** Age in milliseconds of the oldest event that waits. */
  readonly lagMs: number;
}

/** One open subscription. */
export interface SubscriptionState extends SubscriptionCounts {
  readonly name: string;
  readonly types: readonly EventType[];
  /** `waiting` for leadership. */
  readonly state: 'live' | 'waiting';
  readonly bufferSize: number;
  readonly overflow: OverflowPolicy;
  readonly lossy: boolean;
  readonly leaderOnly: boolean;
  /** Events that wait. */
  readonly depth: number;
  /** Age in milliseconds of the oldest event that waits. */
  readonly lagMs: number;
}

export interface BusStats {
  readonly published: ReadonlyMap<EventType, number>;
  /** By name. */
  readonly subscriptions: ReadonlyMap<string, SubscriptionStats>;
  /** Events lost by subscriptions and by the buffer. */
  readonly dropped: DropCounts;
  /** Failures of all handlers and callbacks. */
  readonly handlerErrors: number;
  readonly buffer: BufferStats;
  /** Events that nobody got: lost by the buffer, waiting in it at the stop, or published after it. */
  readonly unrouted: number;
  readonly retained: RetainedStats;
  readonly requests: RequestStats;
}

const NOTHING: SubscriptionStats = {
  active: 0,
  depth: 0,
  lagMs: 0,
  handled: 0,
  dropped: 0,
  superseded: 0,
  errors: 0,
  highWater: 0,
};

/** Adds subscriptions up by their names, and remembers those that have ended. */
export class SubscriptionTotals {
  private readonly ended = new Map<string, SubscriptionStats>();

  /** Makes the name known, that it is told with zeros from the beginning. */
  know(name: string): void {
    if (!this.ended.has(name)) this.ended.set(name, NOTHING);
  }

  add(subscription: EventSubscription): void {
    const { name } = subscription;
    this.ended.set(name, { ...sum(this.ended.get(name), subscription), active: 0, depth: 0, lagMs: 0 });
  }

  with(open: Iterable<EventSubscription>, now: number): Map<string, SubscriptionStats> {
    const totals = new Map(this.ended);
    for (const subscription of open) {
      const { name, depth } = subscription;
      const before = totals.get(name) ?? NOTHING;
      totals.set(name, {
        ...sum(before, subscription),
        active: before.active + 1,
        depth: before.depth + depth,
        lagMs: Math.max(before.lagMs, lagOf(subscription, now)),
      });
    }
    return totals;
  }
}

export function stateOf(subscription: EventSubscription, now: number): SubscriptionState {
  const { name, types, bufferSize, overflow, lossy, leaderOnly, depth } = subscription;
  const { handled, dropped, superseded, errors, highWater } = subscription;
  return {
    name,
    types,
    state: subscription.attached ? 'live' : 'waiting',
    bufferSize,
    overflow,
    lossy,
    leaderOnly,
    depth,
    lagMs: lagOf(subscription, now),
    handled,
    dropped,
    superseded,
    errors,
    highWater,
  };
}

function lagOf({ oldestTimestamp }: EventSubscription, now: number): number {
  return oldestTimestamp === undefined ? 0 : Math.max(0, now - oldestTimestamp);
}

function sum(before: SubscriptionStats = NOTHING, counts: SubscriptionCounts): SubscriptionStats {
  return {
    ...before,
    handled: before.handled + counts.handled,
    dropped: before.dropped + counts.dropped,
    superseded: before.superseded + counts.superseded,
    errors: before.errors + counts.errors,
    highWater: Math.max(before.highWater, counts.highWater),
  };
}
