export type { AuditActor, AuditDetail, AuditEntry, AuditRequest, AuditTarget } from './audit-entry.js';
export { AuditLog } from './audit-log.js';
export { AuditModule } from './audit.module.js';
