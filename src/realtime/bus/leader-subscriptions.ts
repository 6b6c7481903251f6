import type { Leadership } from './leadership.js';

export interface LeaderSubscription {
  /** Leadership is won: it begins. */
  attach(): void;
  /** Leadership is lost: it ends. */
  lose(): void;
}

/** Has leader-only subscriptions wait until leadership is won, and ends them when it is lost. */
export class LeaderSubscriptions {
  private readonly waiting = new Set<LeaderSubscription>();
  private readonly active = new Set<LeaderSubscription>();
  private ignore: (() => void) | undefined;

  constructor(private readonly leadership: Leadership) {}

  /** Begins at once while leading. */
  add(subscription: LeaderSubscription): void {
    this.ignore ??= this.leadership.onChange(this.changed);
    if (this.leadership.isLeader) this.begin(subscription);
    else this.waiting.add(subscription);
  }

  remove(subscription: LeaderSubscription): void {
    this.waiting.delete(subscription);
    this.active.delete(subscription);
    if (this.waiting.size + this.active.size === 0) this.stop();
  }

  /** Listens to leadership no more. */
  stop(): void {
    this.ignore?.();
    this.ignore = undefined;
  }

  private readonly changed = (isLeader: boolean): void => {
    if (!isLeader) {
      for (const subscription of this.active) subscription.lose();
    } else if (this.leadership.isLeader) {
      // Lost again already: its notice is on the way, and nobody begins for that moment.
      for (const subscription of this.waiting) this.begin(subscription);
    }
  };

  private begin(subscription: LeaderSubscription): void {
    this.waiting.delete(subscription);
    this.active.add(subscription);
    subscription.attach();
  }
}
