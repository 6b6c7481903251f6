export type { AuditEntry } from './audit-entry.js';
export { AuditLog } from './audit-log.js';
export { auditRefusals } from './audit-refusals.js';
export { AuditRetention, type RetentionResult } from './audit-retention.js';
export { AuditSealing } from './audit-sealing.js';
export { type AuditSubject, AuditSubjects } from './audit-subjects.js';
export { type AuditConfig, auditConfig } from './audit.config.js';
export { AuditModule } from './audit.module.js';
export { RequestAudit } from './request-audit.js';
