export { ConfigModule } from './config.module.js';
export { type ConfigOf, type ConfigSlice, defineConfig, optionalSetting, setting } from './define-config.js';
export { renderEnvExample } from './env-example.js';
export { ConfigError, type Environment, type LoadedConfig, loadConfig } from './load-config.js';
export { boolean, duration, integer, list, oneOf, text } from './setting-types.js';
