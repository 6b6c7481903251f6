import { type ConfigOf, defineConfig, optionalSetting } from '../config/define-config.js';
import { list } from '../config/setting-types.js';
import { sealingKey } from './sealing-key.js';

export const sealingConfig = defineConfig('sealing', {
  keys: optionalSetting('CROWSNEST_SEALING_KEY', list(sealingKey()), {
    description:
      'Keys that credentials and Secrets are stored with, each 32 random bytes in base64 (openssl rand -base64 32). The first seals, all open. Needed with MONGODB_URI; without it a key file is made in DATA_DIR.',
    secret: true,
  }),
});

export type SealingConfig = ConfigOf<typeof sealingConfig>;
