import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { duration } from '../config/setting-types.js';

export const leaderElectionConfig = defineConfig('leader election', {
  ttlMs: setting('CROWSNEST_LEADER_LEASE_TTL', duration({ minMs: 1_000, maxMs: 600_000 }), {
    default: '15s',
    description: 'How long a replica that is gone still counts as the leader of its duties.',
  }),
  renewMs: setting('CROWSNEST_LEADER_LEASE_RENEW_PERIOD', duration({ minMs: 100 }), {
    default: '5s',
    description: 'Time between two renewals by the leader, up to a fifth longer by chance.',
  }),
  retryMs: setting('CROWSNEST_LEADER_LEASE_RETRY_PERIOD', duration({ minMs: 100 }), {
    default: '2s',
    description: 'Time between two tries of a replica that does not lead, up to a fifth longer by chance.',
  }),
  marginMs: setting('CROWSNEST_LEADER_LEASE_MARGIN', duration({ minMs: 100 }), {
    default: '2s',
    description: 'How long before the end of its lease a leader stops, and the longest stall that it survives.',
  }),
});

export type LeaderElectionConfig = ConfigOf<typeof leaderElectionConfig>;

/** What only the settings together tell, one line each; empty if they fit. */
export function leaderElectionProblems({ ttlMs, renewMs, marginMs }: LeaderElectionConfig): string[] {
  // Two renewals, each up to a fifth late, so that one failure does not cost the lead.
  const needed = 2.4 * renewMs + marginMs;
  if (needed < ttlMs) return [];
  return [
    `CROWSNEST_LEADER_LEASE_TTL: it has to be longer than 2.4 × CROWSNEST_LEADER_LEASE_RENEW_PERIOD + ` +
      `CROWSNEST_LEADER_LEASE_MARGIN, which is ${Math.ceil(needed)}ms`,
  ];
}
