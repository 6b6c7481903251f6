import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { duration } from '../config/setting-types.js';

export const lifecycleConfig = defineConfig('lifecycle', {
  shutdownTimeoutMs: setting('CROWSNEST_SHUTDOWN_TIMEOUT', duration({ minMs: 1_000 }), {
    default: '25s',
    description: 'Deadline of the whole shutdown; keep it below the grace period of whoever stops the service.',
  }),
  drainDelayMs: setting('CROWSNEST_DRAIN_DELAY', duration({ maxMs: 300_000 }), {
    default: '0s',
    description:
      'How long the service still answers everything after it turned not ready, for load balancers to notice.',
  }),
  cutGraceMs: setting('CROWSNEST_SHUTDOWN_CUT_GRACE', duration({ maxMs: 10_000 }), {
    default: '250ms',
    description: 'How long what missed its deadline gets to cut its connections before the next phase goes on.',
  }),
});

export type LifecycleConfig = ConfigOf<typeof lifecycleConfig>;
