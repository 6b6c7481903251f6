import type { EventType } from './event-map.js';

/**
 * What happens to one event more than a subscription may have waiting.
 * `coalesce`: superseded states are forgotten, and if there are none, the oldest event is dropped.
 * `drop-oldest`: the oldest event is dropped at once, superseded or not.
 * `drop-newest`: it is not taken.
 * `error`: the subscription ends with the reason `overflow`, and what waits is dropped.
 */
export type OverflowPolicy = 'coalesce' | 'drop-oldest' | 'drop-newest' | 'error';

/** Why a subscription has ended. */
export type EndReason = 'unsubscribed' | 'aborted' | 'overflow' | 'leadership_lost' | 'stopped';

export interface SubscribeOptions {
  /** Events that may wait for the handler; 1024 by default. What is replayed waits beside them. */
  readonly bufferSize?: number;
  /** `coalesce` by default. */
  readonly overflow?: OverflowPolicy;
  /** It can bear losses: they are counted apart, and told to nobody but `onDropped`. */
  readonly lossy?: boolean;
  /**
   * It gets events only while this process leads: from the moment when leadership is won, first the last event of each
   * coalesce key, then all that follow. It ends when leadership is lost.
   */
  readonly leaderOnly?: boolean;
  /** It misses nothing by subscribing after the start. */
  readonly lateByDesign?: boolean;
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
  /** Told at most once a turn how many events were lost. It may publish. */
  readonly onDropped?: (count: number) => void;
  /** Told once, after it has ended. It may publish and subscribe. */
  readonly onEnd?: (reason: EndReason) => void;
}

/** What `subscribe` returns. */
export interface Subscription {
  readonly name: string;
  readonly types: readonly EventType[];
  readonly closed: boolean;
  /** Events that wait for the handler. */
  readonly depth: number;
  /** Ends it at once: what waits is forgotten, and the handler is not called again. Idempotent. */
  unsubscribe(): void;
}
