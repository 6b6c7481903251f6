import { Global, Module } from '@nestjs/common';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { LeaderElection } from './leader-election.js';
import { LEASE_STORE } from './lease-store.js';
import { LeasesRepository } from './leases.repository.js';
import { OrphanedLeases } from './orphaned-leases.js';

/** Who leads which duty. Electors are started and stopped by those who use them. */
@Global()
@Module({
  providers: [
    LeaderElection,
    LeasesRepository,
    OrphanedLeases,
    { provide: LEASE_STORE, useExisting: LeasesRepository },
  ],
  exports: [LeaderElection],
})
export class LeaderElectionModule {
  constructor(lifecycle: LifecycleRegistry, orphans: OrphanedLeases) {
    lifecycle.register('recovery', orphans);
  }
}
