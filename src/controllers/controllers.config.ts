import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { duration } from '../config/setting-types.js';

export const controllersConfig = defineConfig('controllers', {
  lookMs: setting('CROWSNEST_CONTROLLER_LOOK_PERIOD', duration({ minMs: 50, maxMs: 60_000 }), {
    default: '2s',
    description: 'How soon a leader sees that its controller was paused, resumed or asked for on another replica.',
  }),
  waitMs: setting('CROWSNEST_CONTROLLER_RECONCILE_WAIT', duration({ maxMs: 60_000 }), {
    default: '10s',
    description: 'How long a request for a round waits for its end before it is answered 202.',
  }),
  graceMs: setting('CROWSNEST_CONTROLLER_ABORT_GRACE', duration({ maxMs: 60_000 }), {
    default: '5s',
    description: 'How long an aborted round may take to end before its replica gives the lead to another.',
  }),
});

export type ControllersConfig = ConfigOf<typeof controllersConfig>;
