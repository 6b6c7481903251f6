export { ApiProblems } from './api-problems.js';
export { dnsLabel } from './dns-name.js';
export { type HttpConfig, httpConfig } from './http.config.js';
export { HttpModule } from './http.module.js';
export { HttpServer } from './http-server.js';
export { Idempotent } from './idempotency.js';
export type { RepeatableRequest } from './idempotency.interceptor.js';
export { formatPath } from './issues.js';
export { jsonOrText } from './json-or-text.js';
export { labelFilter, labelSelectorQuery } from './label-selector.js';
export {
  type StoredLabel,
  fromStoredLabels,
  isLabelKey,
  isLabelValue,
  labelsSchema,
  toStoredLabels,
} from './labels.js';
export { objectId, objectIdParam } from './object-id.js';
export { type Page, cursorFilter, pageQuery, pageSchema, toPage } from './page.js';
export { type RequestMount, RequestMounts } from './request-mounts.js';
export { tlsProblems } from './tls.js';
export { type SiteHeaders, SiteRules } from './site-guard.js';
export type { Removed } from './removed.js';
