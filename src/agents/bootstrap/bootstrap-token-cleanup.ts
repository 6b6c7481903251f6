import { Inject, Injectable, Logger } from '@nestjs/common';
import { SERVER_TIME, type ServerTime } from '../../database/index.js';
import { type AgentsConfig, agentsConfig } from '../agents.config.js';
import { type SweepGuard, mayGoOn } from '../../leader-election/index.js';
import { BootstrapTokensRepository } from './bootstrap-tokens.repository.js';

const BATCH = 1_000;

/** Removes tokens that have been expired, spent or revoked for the grace, in batches. */
@Injectable()
export class BootstrapTokenCleanup {
  private readonly log = new Logger(BootstrapTokenCleanup.name);

  constructor(
    private readonly tokens: BootstrapTokensRepository,
    @Inject(agentsConfig.token) private readonly config: Pick<AgentsConfig, 'tokenGraceMs'>,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
  ) {}

  /** Returns how many were removed. @throws LeaseLost, the signal's reason. */
  async sweep(signal: AbortSignal, lease: SweepGuard['lease']): Promise<number> {
    const guard = { signal, lease };
    mayGoOn(guard);
    const now = await this.time.read();
    const before = new Date(now.getTime() - this.config.tokenGraceMs);
    let removed = 0;
    try {
      for (let more = true; more;) {
        mayGoOn(guard);
        const batch = await this.tokens.deleteEnded(before, BATCH);
        removed += batch.removed;
        more = batch.read === BATCH && batch.removed > 0;
      }
    } finally {
      if (removed > 0) this.log.log({ message: 'bootstrap tokens that are over were removed', removed });
    }
    return removed;
  }
}
