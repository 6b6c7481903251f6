import { Subscriber } from 'rxjs';
import { Waiters } from '../waiters.js';
import type { BusEvent } from './bus-event.js';
import { callSafely, isThenable, settled } from './call-safely.js';
import type { DrainSchedule, Drainable } from './drain-schedule.js';
import type { Loser } from './drop-reporter.js';
import type { EventType } from './event-map.js';
import { EventQueue, keyWithType, plainKey } from './event-queue.js';
import type { LeaderSubscription } from './leader-subscriptions.js';
import { ReplayedEvents } from './replayed-events.js';
import type { EndReason, OverflowPolicy, SubscribeOptions, Subscription } from './subscribe-options.js';

/** What a subscription needs of its bus. */
export interface SubscriptionOwner {
  readonly schedule: DrainSchedule;
  /** Events that may wait in a replay. */
  readonly replayLimit: number;
  /** Leadership is won, `subscription` begins. */
  attach(subscription: EventSubscription): void;
  dropped(subscription: EventSubscription, event: BusEvent): void;
  /** The event that is being told was not taken. */
  refused(): void;
  /** A full queue ends the subscription, once the event is told to all. */
  overflown(subscription: EventSubscription): void;
  /** The handler failed on the event or, without one, a callback did. */
  failed(subscription: EventSubscription, error: unknown, event?: BusEvent): void;
  ended(subscription: EventSubscription): void;
}

/** Events handled in one turn before timers and sockets get theirs; well below what a stream's queue holds. */
const EVENTS_PER_TURN = 64;

/**
 * A named, bounded queue in front of one handler. Events are handled one at a time in the order of publication; a
 * handler that returns a promise gets the next event when it settles.
 *
 * It is a Subscriber of its own, for RxJS puts two further calls and a `try` before a plain function.
 */
export class EventSubscription
  extends Subscriber<BusEvent>
  implements Subscription, Drainable, Loser, LeaderSubscription
{
  readonly bufferSize: number;
  readonly overflow: OverflowPolicy;
  readonly lossy: boolean;
  readonly leaderOnly: boolean;
  handled = 0;
  dropped = 0;
  errors = 0;
  /** Whether it gets what is published. */
  attached = false;
  private readonly queue: EventQueue;
  /** While there are some. */
  private replayed: ReplayedEvents | undefined;
  private mostReplayed = 0;
  /** A drain is on its way, or goes on when the handler's promise settles. */
  private scheduled = false;
  private handling = false;
  private turn = -1;
  private quota = 0;
  private readonly idleWaiters = new Waiters();

  constructor(
    readonly name: string,
    readonly types: readonly EventType[],
    private readonly handler: (event: BusEvent) => unknown,
    private readonly options: SubscribeOptions,
    private readonly owner: SubscriptionOwner,
  ) {
    super();
    const { bufferSize = 1_024, overflow = 'coalesce', lossy = false, leaderOnly = false, signal } = options;
    if (!(bufferSize >= 1)) throw new RangeError(`bufferSize of ${name} must be 1 or more, not ${bufferSize}`);
    this.bufferSize = bufferSize;
    this.overflow = overflow;
    this.lossy = lossy;
    this.leaderOnly = leaderOnly;
    const keyOf = types.length === 1 ? plainKey : keyWithType;
    this.queue = new EventQueue(bufferSize, overflow === 'coalesce' ? keyOf : undefined);
    if (signal?.aborted) super.unsubscribe();
    else signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  get depth(): number {
    return this.replayed === undefined ? this.queue.length : this.replayed.totalLength;
  }

  get superseded(): number {
    return this.queue.superseded;
  }

  /** The most events that ever waited. */
  get highWater(): number {
    return Math.max(this.queue.peak, this.mostReplayed);
  }

  /** When the oldest event that waits was published, in milliseconds since the epoch. */
  get oldestTimestamp(): number | undefined {
    return this.replayed === undefined ? this.queue.peek()?.timestamp : this.replayed.oldestTimestamp;
  }

  /** Whether nothing waits and nothing is being handled. */
  get isIdle(): boolean {
    return this.closed || (this.depth === 0 && !this.handling);
  }

  /** Resolves when nothing waits and nothing is being handled, or the subscription has ended. */
  idle(): Promise<void> {
    return this.isIdle ? Promise.resolve() : this.idleWaiters.wait();
  }

  /** Takes an event that was just published. Never calls the handler itself. */
  override next(event: BusEvent): void {
    if (!this.queue.push(event) && !this.makeRoom(event)) return;
    if (this.replayed !== undefined) this.mostReplayed = Math.max(this.mostReplayed, this.depth);
    if (!this.scheduled) this.scheduleDrain();
  }

  /** Takes events that were published while the bus did not run, at the pace of the handler. */
  replay(events: readonly BusEvent[]): void {
    this.replayed ??= new ReplayedEvents(this.queue, this.owner.replayLimit);
    for (const event of events) {
      if (this.closed) return;
      // Too many are left of earlier replays only if the handler is stuck, and then the queue's policy decides.
      if (!this.replayed.push(event)) this.next(event);
    }
    this.mostReplayed = Math.max(this.mostReplayed, this.depth);
    if (!this.scheduled) this.scheduleDrain();
  }

  /** Begins to get events. */
  attach(): void {
    this.attached = true;
    this.owner.attach(this);
  }

  lose(): void {
    this.end('leadership_lost');
  }

  /** Gives up what waits, and ends. */
  overrun(): void {
    for (let event = this.queue.shift(); event; event = this.queue.shift()) this.drop(event);
    for (let event = this.replayed?.shift(); event; event = this.replayed?.shift()) this.drop(event);
    this.end('overflow');
  }

  override unsubscribe(): void {
    this.end('unsubscribed');
  }

  end(reason: EndReason): void {
    if (this.closed) return;
    super.unsubscribe();
    this.options.signal?.removeEventListener('abort', this.onAbort);
    this.queue.clear();
    this.replayed = undefined;
    this.owner.ended(this);
    this.attached = false;
    const { onEnd } = this.options;
    if (onEnd) queueMicrotask(() => void callSafely(() => onEnd(reason), this.failed));
    this.idleWaiters.release();
  }

  tellDropped(count: number): void {
    const { onDropped } = this.options;
    if (onDropped && !this.closed) void callSafely(() => onDropped(count), this.failed);
  }

  /** Handles what waits, up to its share of the turn. */
  drain(turn: number): void {
    if (turn !== this.turn) {
      this.turn = turn;
      this.quota = EVENTS_PER_TURN;
    }
    for (; this.quota > 0; this.quota -= 1) {
      const event = this.replayed === undefined ? this.queue.shift() : this.shiftReplayed(this.replayed);
      if (event === undefined) break;
      const pending = this.handle(event);
      if (pending === undefined) continue;
      this.quota -= 1;
      this.handling = true;
      void pending.then(this.resume);
      return;
    }
    this.rest();
  }

  private readonly resume = (): void => {
    this.handling = false;
    this.rest();
  };

  /** Goes on later with what is left. */
  private rest(): void {
    this.scheduled = this.depth > 0;
    if (!this.scheduled) this.idleWaiters.release();
    else if (this.quota > 0) this.owner.schedule.add(this);
    else this.owner.schedule.defer(this);
  }

  private scheduleDrain(): void {
    this.scheduled = true;
    this.owner.schedule.add(this);
  }

  /** A promise, which never rejects, if the handler returned one. */
  private handle(event: BusEvent): Promise<void> | undefined {
    this.handled += 1;
    try {
      const result = this.handler(event);
      if (result === undefined || !isThenable(result)) return undefined;
      return settled(result, (error) => this.failed(error, event));
    } catch (error) {
      this.failed(error, event);
      return undefined;
    }
  }

  private shiftReplayed(replayed: ReplayedEvents): BusEvent | undefined {
    const event = replayed.shift();
    if (replayed.isEmpty) this.replayed = undefined;
    return event;
  }

  /** Applies the policy to a full queue; false if the event is not taken. */
  private makeRoom(event: BusEvent): boolean {
    if (this.overflow === 'drop-newest' || this.overflow === 'error') {
      this.drop(event);
      this.owner.refused();
      if (this.overflow === 'error') this.owner.overflown(this);
      return false;
    }
    const oldest = this.queue.shift();
    if (oldest) this.drop(oldest);
    return this.queue.push(event);
  }

  private drop(event: BusEvent): void {
    this.dropped += 1;
    this.owner.dropped(this, event);
  }

  private readonly failed = (error: unknown, event?: BusEvent): void => {
    this.errors += 1;
    this.owner.failed(this, error, event);
  };

  private readonly onAbort = (): void => this.end('aborted');
}
