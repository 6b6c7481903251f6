import { Inject, Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../auth/principal.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { Runnable } from '../runtime/runnable.js';
import { ResourcesRepository } from './tracking/resources.repository.js';

/** Before anybody can ask: what an earlier process saw live is not live any more. */
@Injectable()
export class FreshnessReset implements Runnable {
  readonly name = 'freshness reset';

  constructor(
    private readonly resources: ResourcesRepository,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async start(): Promise<void> {
    await this.resources.distrustAll(SYSTEM_SCOPE, new Date(this.clock.now()));
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}
