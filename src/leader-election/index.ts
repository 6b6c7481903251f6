export { Elector, type ElectorOptions } from './elector.js';
export { type HeldLease, LeaseLost } from './held-lease.js';
export { type LeaderElectionConfig, leaderElectionConfig, leaderElectionProblems } from './leader-election.config.js';
export { LeaderElection } from './leader-election.js';
export { LeaderElectionModule } from './leader-election.module.js';
export type { LeaseStore, StoredLease } from './lease-store.js';
export { type SweepGuard, mayGoOn } from './sweep-guard.js';
