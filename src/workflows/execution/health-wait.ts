import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { ResourcesService } from '../../watchers/index.js';
import type { AppliedNode } from '../runs/active-run.js';
import type { NodeSignals } from './run-driver.js';

/** What a wait that was cut by a restart gets at least: the watches have to list before anything can be told. */
const MIN_WAIT_MS = 15_000;

export type WaitEnd = 'healthy' | 'timed-out' | 'cancelled' | 'unneeded';

/** Waits until the watchers have seen a node's object healthy. */
@Injectable()
export class HealthWait {
  constructor(
    @Inject(ResourcesService) private readonly resources: Pick<ResourcesService, 'waitForHealth'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Rejects with a StopReason when the service stops. */
  async wait(applied: AppliedNode, until: Date, isResumed: boolean, signals: NodeSignals): Promise<WaitEnd> {
    const { stop, cancel, unneeded } = signals;
    const remainingMs = Math.max(until.getTime() - this.clock.now(), isResumed ? MIN_WAIT_MS : 0);
    const overdue = new AbortController();
    const timer = this.clock.after(remainingMs, () => overdue.abort());
    try {
      const signal = AbortSignal.any([stop, cancel, unneeded, overdue.signal]);
      await this.resources.waitForHealth(applied.resourceId, applied, signal);
      return 'healthy';
    } catch (error) {
      stop.throwIfAborted();
      if (overdue.signal.aborted) return 'timed-out';
      if (cancel.aborted) return 'cancelled';
      if (unneeded.aborted) return 'unneeded';
      throw error;
    } finally {
      timer.cancel();
    }
  }
}
