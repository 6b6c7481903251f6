export { formatJson, formatText } from './log-line.js';
export { type LoggingConfig, loggingConfig } from './logging.config.js';
export { requestContext } from './request-context.js';
export { ServiceLogger } from './service-logger.js';
