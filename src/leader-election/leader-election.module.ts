import { Global, Module } from '@nestjs/common';
import { LeaderElection } from './leader-election.js';
import { LEASE_STORE } from './lease-store.js';
import { LeasesRepository } from './leases.repository.js';

/** Who leads which duty. Starts nothing by itself: electors belong to those who use them. */
@Global()
@Module({
  providers: [LeaderElection, { provide: LEASE_STORE, useClass: LeasesRepository }],
  exports: [LeaderElection],
})
export class LeaderElectionModule {}
