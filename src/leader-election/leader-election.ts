import { Inject, Injectable } from '@nestjs/common';
import { Gauge, type Registry } from 'prom-client';
import { METRICS_REGISTRY } from '../metrics/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { RANDOM, type Random } from '../runtime/random.js';
import { Elector } from './elector.js';
import { type LeaderElectionConfig, leaderElectionConfig } from './leader-election.config.js';
import { LEASE_STORE, type LeaseStore, type StoredLease } from './lease-store.js';

/** Spreads duties over the replicas that share a database: each has one leader at a time. */
@Injectable()
export class LeaderElection {
  /** Random name of this process, as it stands in the leases that it has. */
  readonly holder: string;
  private readonly electors = new Map<string, Elector>();

  constructor(
    @Inject(LEASE_STORE) private readonly store: LeaseStore,
    @Inject(leaderElectionConfig.token) private readonly config: LeaderElectionConfig,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
    @Inject(METRICS_REGISTRY) registry: Registry,
  ) {
    this.holder = random.uuid();
    this.register(registry);
  }

  /** The one elector of this process for the duty. Whoever uses it starts and stops it. */
  elector(duty: string): Elector {
    const { store, config, clock, random, holder } = this;
    const elector = this.electors.get(duty) ?? new Elector({ duty, holder, store, config, clock, random });
    this.electors.set(duty, elector);
    return elector;
  }

  /** Every lease that was ever given, also those that ran out. */
  leases(): Promise<StoredLease[]> {
    return this.store.list();
  }

  private register(registry: Registry): void {
    const { electors } = this;
    new Gauge({
      name: 'crowsnest_leader',
      help: 'Whether this process leads the duty.',
      labelNames: ['duty'],
      registers: [registry],
      collect() {
        for (const { duty, isLeader } of electors.values()) this.set({ duty }, isLeader ? 1 : 0);
      },
    });
    new Gauge({
      name: 'crowsnest_leader_epoch',
      help: 'Epoch of the lease by which this process leads the duty; 0 if it does not.',
      labelNames: ['duty'],
      registers: [registry],
      collect() {
        for (const { duty, held } of electors.values()) this.set({ duty }, held?.epoch ?? 0);
      },
    });
  }
}
