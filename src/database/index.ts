export { type DatabaseConfig, databaseConfig } from './database.config.js';
export { DatabaseConnection } from './database-connection.js';
export { DatabaseHealth } from './database.health.js';
export { DatabaseModule } from './database.module.js';
export { isDuplicateKey } from './duplicate-key.js';
export { schemaOptions } from './schema-options.js';
export { SERVER_TIME, type ServerTime } from './server-time.js';
export { StoreAddress } from './store-address.js';
