import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { oneOf } from '../config/setting-types.js';
import { LEVELS } from './log-line.js';

export const loggingConfig = defineConfig('logging', {
  level: setting('LOG_LEVEL', oneOf(...LEVELS), { default: 'info', description: 'The least level that is logged.' }),
});

export type LoggingConfig = ConfigOf<typeof loggingConfig>;
