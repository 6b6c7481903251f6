import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { duration } from '../config/setting-types.js';

export const agentsConfig = defineConfig('agents', {
  heartbeatMs: setting('CROWSNEST_AGENT_HEARTBEAT', duration({ minMs: 100, maxMs: 3_600_000 }), {
    default: '20s',
    description: 'How often agents are asked to beat; more often where a third of CROWSNEST_JOB_LEASE is less.',
  }),
  staleMs: setting('CROWSNEST_AGENT_STALE', duration({ minMs: 500 }), {
    default: '90s',
    description: 'How long an agent that is not seen still counts as online.',
  }),
  healthPeriodMs: setting('CROWSNEST_AGENT_HEALTH_PERIOD', duration({ minMs: 100 }), {
    default: '30s',
    description: 'How often agents that are not seen any more are looked for.',
  }),
  rotationGraceMs: setting('CROWSNEST_AGENT_ROTATION_GRACE', duration({ maxMs: 86_400_000 }), {
    default: '10m',
    description: 'How long the former credential of an agent holds beside a new one, unless the request says.',
  }),
  tokenCleanupPeriodMs: setting('CROWSNEST_TOKEN_CLEANUP_PERIOD', duration({ minMs: 100 }), {
    default: '60m',
    description: 'How often bootstrap tokens that are over are removed.',
  }),
  tokenGraceMs: setting('CROWSNEST_TOKEN_GRACE', duration(), {
    default: '24h',
    description: 'How long bootstrap tokens that are expired, spent or revoked are still listed.',
  }),
});

export type AgentsConfig = ConfigOf<typeof agentsConfig>;

/** What only the settings together tell, one line each; empty if they fit. */
export function agentsProblems({ heartbeatMs, staleMs }: AgentsConfig): string[] {
  if (staleMs >= 2 * heartbeatMs) return [];
  return ['CROWSNEST_AGENT_STALE: agents would go offline by one late heartbeat; take 2 × CROWSNEST_AGENT_HEARTBEAT'];
}
