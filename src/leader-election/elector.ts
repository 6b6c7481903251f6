import { Logger } from '@nestjs/common';
import { abortable } from '../runtime/abortable.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import type { Runnable } from '../runtime/runnable.js';
import { StopReason } from '../runtime/stop-reason.js';
import type { HeldLease, LeaseLost } from './held-lease.js';
import type { LeaderElectionConfig } from './leader-election.config.js';
import type { LeaseStore, StoredLease } from './lease-store.js';
import { type SentAt, Tenure, elapsedSince } from './tenure.js';

/** Every delay is up to a fifth longer by chance, so that replicas do not ask in step (client-go's JitterFactor). */
const JITTER = 0.2;

export interface ElectorOptions {
  readonly duty: string;
  /** Random name of this process. */
  readonly holder: string;
  readonly store: LeaseStore;
  readonly config: LeaderElectionConfig;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Competes for one duty and renews it while it has it. Won and lost any number of times; the process lives on.
 *
 * A renewal that fails extends nothing: the lease is lost when the time is over that the last one granted. Of requests
 * that are not answered the loop does not wait; what they grant late is not relied on.
 */
export class Elector implements Runnable {
  readonly name: string;
  private readonly log = new Logger(Elector.name);
  private readonly listeners = new Set<(isLeader: boolean) => void>();
  private readonly unanswered = new Set<Promise<unknown>>();
  private tenure: Tenure | undefined;
  private isFailing = false;
  private running: { readonly aborter: AbortController; readonly loop: Promise<void> } | undefined;

  constructor(private readonly options: ElectorOptions) {
    this.name = `elector of ${options.duty}`;
  }

  get duty(): string {
    return this.options.duty;
  }

  get isLeader(): boolean {
    return this.held !== undefined;
  }

  /** Present while this process may act in the duty. */
  get held(): HeldLease | undefined {
    return this.tenure?.isHeld ? this.tenure : undefined;
  }

  /** Tells each change, never within the call. Returns what ends it. */
  onChange(listener: (isLeader: boolean) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Resolves as soon as this process leads; rejects with the signal's reason. */
  whenHeld(signal: AbortSignal): Promise<HeldLease> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        forget();
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        end();
        reject(signal.reason as Error);
      };
      const check = (): void => {
        const { held } = this;
        if (!held) return;
        end();
        resolve(held);
      };
      const forget = this.onChange(check);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      else check();
    });
  }

  /** Does not wait for the lead. */
  start(): Promise<void> {
    if (!this.running) {
      const aborter = new AbortController();
      this.running = { aborter, loop: this.run(aborter.signal) };
    }
    return Promise.resolve();
  }

  /** Gives the lease back, so that another process has it within its retry period. */
  async stop(deadline: AbortSignal): Promise<void> {
    const { running, tenure } = this;
    if (!running) return;
    running.aborter.abort(new StopReason(this.name));
    tenure?.lose('given back');
    await running.loop;
    this.running = undefined;
    this.tenure = undefined;
    await this.giveBack(tenure?.epoch, deadline).catch((error: unknown) => {
      this.log.warn({ message: 'a lease was not given back and has to run out', duty: this.duty, error });
    });
  }

  private async giveBack(epoch: number | undefined, deadline: AbortSignal): Promise<void> {
    // A renewal that is still on its way would take the lease back.
    if (this.unanswered.size > 0) await abortable(Promise.allSettled(this.unanswered), deadline);
    if (epoch === undefined) return;
    const { store, duty, holder } = this.options;
    await abortable(store.resign(duty, holder, epoch), deadline);
  }

  private async run(signal: AbortSignal): Promise<void> {
    const { clock, random, config } = this.options;
    while (!signal.aborted) {
      await this.compete(signal);
      const { tenure } = this;
      const delayMs = tenure?.isHeld ? config.renewMs : config.retryMs;
      // A lease that is lost meanwhile ends the sleep, to compete again at once; so does `stop`.
      const wake = tenure?.isHeld ? tenure.signal : signal;
      await clock.sleep(delayMs * (1 + JITTER * random.float()), wake).catch(() => undefined);
    }
  }

  private async compete(signal: AbortSignal): Promise<void> {
    const { clock, config } = this.options;
    const sentAt = { monotonicMs: clock.monotonic(), wallMs: clock.now() };
    try {
      const lease = await this.ask(config.renewMs, signal);
      if (signal.aborted) return;
      if (this.isFailing) this.log.log({ message: 'leases can be renewed again', duty: this.duty });
      this.isFailing = false;
      if (lease) this.take(lease, sentAt);
      else this.tenure?.lose('another process has it');
    } catch (error) {
      if (signal.aborted) return;
      if (!this.isFailing) this.log.warn({ message: 'a lease could not be renewed', duty: this.duty, error });
      this.isFailing = true;
    }
  }

  /** @throws if there is no answer in time. */
  private async ask(timeoutMs: number, signal: AbortSignal): Promise<StoredLease | null> {
    const { store, duty, holder, config, clock } = this.options;
    const late = new AbortController();
    const timer = clock.after(timeoutMs, () => late.abort(new Error(`no answer in ${timeoutMs} ms`)));
    const onStop = (): void => late.abort(signal.reason);
    signal.addEventListener('abort', onStop, { once: true });
    const request = store.acquire(duty, holder, config.ttlMs);
    const answered = request.catch(() => undefined).finally(() => this.unanswered.delete(answered));
    this.unanswered.add(answered);
    try {
      return await abortable(request, late.signal);
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', onStop);
    }
  }

  private take({ epoch }: StoredLease, sentAt: SentAt): void {
    const { duty, holder, clock, config } = this.options;
    if (this.tenure?.isHeld && this.tenure.epoch === epoch) {
      this.tenure.extend(sentAt);
      return;
    }
    this.tenure?.lose('another process had it meanwhile');
    const { ttlMs, marginMs } = config;
    // An answer that came too late grants nothing.
    if (elapsedSince(sentAt, clock) >= ttlMs - marginMs) return;
    const onLost = (lost: LeaseLost): void => {
      this.log.log({ message: 'the lead is lost', duty, epoch, reason: lost.why });
      this.tell(false);
    };
    this.tenure = new Tenure({ duty, epoch, sentAt, trustMs: ttlMs - marginMs, marginMs, clock, onLost });
    this.log.log({ message: 'the lead is won', duty, epoch, holder });
    this.tell(true);
  }

  private tell(isLeader: boolean): void {
    for (const listener of this.listeners) {
      try {
        listener(isLeader);
      } catch (error) {
        this.log.error({ message: 'a listener to the lead failed', duty: this.duty, error });
      }
    }
  }
}
