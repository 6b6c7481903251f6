import { type ConfigOf, defineConfig, optionalSetting, setting } from '../config/define-config.js';
import { boolean, integer, list } from '../config/setting-types.js';
import { apiKey } from './api-key.js';

export const authConfig = defineConfig('access', {
  apiKeys: optionalSetting('CROWSNEST_API_KEYS', list(apiKey()), {
    description: 'Who may use the API. Without it the service serves loopback only.',
    example: 'ops:admin:a-long-random-secret,dash:viewer@team-a:another-long-secret',
    secret: true,
  }),
  metricsPublic: setting('CROWSNEST_METRICS_PUBLIC', boolean(), {
    default: 'false',
    description: 'Whether /metrics needs no key; it takes one of all tenants otherwise, as it names what each has.',
  }),
  failedLoginsPerAddress: setting('CROWSNEST_FAILED_LOGINS', integer(1, 10_000), {
    default: '10',
    description: 'Wrong credentials taken from one address within 15 minutes; loopback is not counted.',
  }),
});

export type AuthConfig = ConfigOf<typeof authConfig>;
