import { Inject, Injectable } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { CLOCK, type Clock, type Timer, sleepOn } from '../runtime/clock.js';
import { PeriodicTask, type PeriodicTaskOptions } from '../runtime/periodic-task.js';

/**
 * Makes the service's periodic tasks. The planned round of each stands in Nest's scheduler registry under its name, so
 * that all of them can be listed there. Nest's own `@Interval` is not used: it overlaps itself and is not awaited.
 */
@Injectable()
export class PeriodicTasks {
  constructor(
    private readonly registry: SchedulerRegistry,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  create(options: Omit<PeriodicTaskOptions, 'clock'>): PeriodicTask {
    return new PeriodicTask({ ...options, clock: new RegisteringClock(options.name, this.clock, this.registry) });
  }
}

/** Registers the one timer that a task has at a time. */
class RegisteringClock implements Clock {
  constructor(
    private readonly name: string,
    private readonly clock: Clock,
    private readonly registry: SchedulerRegistry,
  ) {}

  now(): number {
    return this.clock.now();
  }

  monotonic(): number {
    return this.clock.monotonic();
  }

  after(delayMs: number, callback: () => void, options?: { unref?: boolean }): Timer {
    const timer = this.clock.after(
      delayMs,
      () => {
        this.registry.deleteTimeout(this.name);
        callback();
      },
      options,
    );
    this.registry.addTimeout(this.name, timer);
    return {
      cancel: () => {
        timer.cancel();
        if (this.registry.doesExist('timeout', this.name)) this.registry.deleteTimeout(this.name);
      },
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }
}
