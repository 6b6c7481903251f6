import type { BusEvent } from './bus-event.js';
import { CoalescingQueue } from '../coalescing-queue.js';
import type { EventType } from './event-map.js';

/** `coalesce` forgets superseded state first, then the oldest event; `drop-oldest` forgets the oldest at once. */
export type OverflowPolicy = 'coalesce' | 'drop-oldest' | 'drop-newest';

/** What `subscribe` returns. */
export interface Subscription {
  readonly name: string;
  readonly types: readonly EventType[];
  readonly closed: boolean;
  /** Events that wait for the handler. */
  readonly depth: number;
  unsubscribe(): void;
}

export interface SubscribeOptions {
  /** Events that may wait for the handler; 1024 by default. */
  readonly bufferSize?: number;
  /** What happens to one more; `coalesce` by default. */
  readonly overflow?: OverflowPolicy;
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
  /** Told once per turn how many events were lost. It may publish. */
  readonly onDropped?: (count: number) => void;
  /** It misses nothing by coming late. */
  readonly lateByDesign?: boolean;
  /** Told when it has ended. */
  readonly onEnd?: () => void;
}

/** Counters of all subscriptions of one name, kept after they end. */
export interface SubscriptionTotals {
  handled: number;
  dropped: number;
  coalesced: number;
  errors: number;
}

export interface SubscriptionHooks {
  readonly totals: SubscriptionTotals;
  /** The handler failed on the event, or, without one, `onDropped` did. */
  readonly onError: (error: unknown, event?: BusEvent) => void;
  readonly onEnd: () => void;
}

/** Events handled in one turn before timers and sockets get theirs; well below what a stream's queue holds. */
const EVENTS_PER_TURN = 64;

/**
 * A named, bounded queue in front of one handler. Events are handled one at a time in the order of publication; a
 * handler that returns a promise gets the next event when it settles.
 */
export class EventSubscription {
  private readonly queue: CoalescingQueue<BusEvent>;
  private readonly coalesces: boolean;
  /** Events from before the bus was started. Handled first and outside the bound, for they are bounded themselves. */
  private backlog: readonly BusEvent[] = [];
  private backlogIndex = 0;
  private scheduled = false;
  private handling = false;
  private unreported = 0;
  private ended = false;
  private idleWaiters: (() => void)[] = [];

  constructor(
    readonly name: string,
    readonly types: readonly EventType[],
    private readonly handler: (event: BusEvent) => void | Promise<void>,
    private readonly options: SubscribeOptions,
    private readonly hooks: SubscriptionHooks,
  ) {
    const { bufferSize = 1_024, overflow = 'coalesce', signal } = options;
    this.queue = new CoalescingQueue({ maxItems: bufferSize });
    this.coalesces = overflow === 'coalesce';
    if (signal?.aborted) this.ended = true;
    else signal?.addEventListener('abort', this.unsubscribe, { once: true });
  }

  get closed(): boolean {
    return this.ended;
  }

  /** Events that wait for the handler. */
  get depth(): number {
    return this.queue.length + this.backlog.length - this.backlogIndex;
  }

  /** Ends it at once: what waits is forgotten, and the handler is not called again. */
  readonly unsubscribe = (): void => {
    if (this.ended) return;
    this.ended = true;
    this.options.signal?.removeEventListener('abort', this.unsubscribe);
    this.queue.clear();
    this.backlog = [];
    this.backlogIndex = 0;
    this.hooks.onEnd();
    if (this.options.onEnd) queueMicrotask(this.options.onEnd);
    this.settleIdle();
  };

  /** Takes an event; false once the subscription has ended. Never calls the handler itself. */
  offer(event: BusEvent): boolean {
    if (this.ended) return false;
    const key = this.coalesces ? event.coalesceKey : undefined;
    const { coalesced } = this.queue;
    if (!this.queue.offer(event, key)) {
      this.unreported += 1;
      this.hooks.totals.dropped += 1;
      if (this.options.overflow === 'drop-newest') return false;
      this.queue.shift();
      this.queue.offer(event, key);
    }
    this.hooks.totals.coalesced += this.queue.coalesced - coalesced;
    this.schedule();
    return true;
  }

  /** Hands over the events that were published before the bus was started. */
  replay(events: readonly BusEvent[]): boolean {
    if (this.ended || events.length === 0) return false;
    this.backlog = [...this.backlog.slice(this.backlogIndex), ...events];
    this.backlogIndex = 0;
    this.schedule();
    return true;
  }

  /** Whether nothing waits and nothing is being handled. */
  get isIdle(): boolean {
    return this.ended || (this.depth === 0 && !this.handling);
  }

  /** Resolves when nothing waits and nothing is being handled, or the subscription has ended. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  private schedule(): void {
    if (this.scheduled || this.handling) return;
    this.scheduled = true;
    queueMicrotask(this.drain);
  }

  private readonly drain = (): void => {
    // Stays scheduled until it is through, so that a handler which publishes does not start a second drain.
    this.reportDropped();
    for (let handled = 0; handled < EVENTS_PER_TURN; handled += 1) {
      const event = this.next();
      if (event === undefined) {
        this.scheduled = false;
        this.settleIdle();
        return;
      }
      const pending = this.handle(event);
      if (pending) {
        this.scheduled = false;
        this.handling = true;
        void pending.then(this.resume);
        return;
      }
    }
    setImmediate(this.drain);
  };

  private readonly resume = (): void => {
    this.handling = false;
    this.scheduled = true;
    this.drain();
  };

  private next(): BusEvent | undefined {
    const event = this.backlog[this.backlogIndex];
    if (event === undefined) return this.queue.shift();
    this.backlogIndex += 1;
    if (this.backlogIndex === this.backlog.length) {
      this.backlog = [];
      this.backlogIndex = 0;
    }
    return event;
  }

  /** The promise of an asynchronous handler, which never rejects. */
  private handle(event: BusEvent): Promise<void> | undefined {
    this.hooks.totals.handled += 1;
    try {
      const result = this.handler(event);
      return result instanceof Promise ? result.catch((error: unknown) => this.failed(error, event)) : undefined;
    } catch (error) {
      this.failed(error, event);
      return undefined;
    }
  }

  private failed(error: unknown, event?: BusEvent): void {
    this.hooks.totals.errors += 1;
    this.hooks.onError(error, event);
  }

  private reportDropped(): void {
    const count = this.unreported;
    if (count === 0) return;
    this.unreported = 0;
    try {
      this.options.onDropped?.(count);
    } catch (error) {
      this.failed(error);
    }
  }

  private settleIdle(): void {
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
