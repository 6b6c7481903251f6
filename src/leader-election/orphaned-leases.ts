import { Inject, Injectable, Logger } from '@nestjs/common';
import { StoreAddress } from '../database/index.js';
import type { Runnable } from '../runtime/runnable.js';
import { LEASE_STORE, type LeaseStore } from './lease-store.js';

/**
 * The embedded store belongs to one process, which its lock makes sure of: whoever had leases in it is gone, so that
 * nobody has to wait for them to run out after a kill.
 */
@Injectable()
export class OrphanedLeases implements Runnable {
  readonly name = 'orphaned leases';
  private readonly log = new Logger(OrphanedLeases.name);

  constructor(
    @Inject(StoreAddress) private readonly address: Pick<StoreAddress, 'isEmbedded'>,
    @Inject(LEASE_STORE) private readonly leases: LeaseStore,
  ) {}

  async start(): Promise<void> {
    if (!this.address.isEmbedded) return;
    const orphans = await this.leases.list();
    for (const { duty, holder, epoch } of orphans) await this.leases.resign(duty, holder, epoch);
    if (orphans.length > 0) this.log.debug({ message: 'no process has these leases any more', leases: orphans.length });
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}
