import { Module } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { AuditChain } from './audit-chain.js';
import { AuditCollections } from './audit-collections.js';
import { AuditLog } from './audit-log.js';
import { AuditLogMetrics } from './audit-log.metrics.js';
import { AuditLogsController } from './audit-logs.controller.js';
import { AuditRetention } from './audit-retention.js';
import { AuditRowsRepository } from './audit-rows.repository.js';
import { AuditSealing } from './audit-sealing.js';
import { AuditSegmentsRepository } from './audit-segments.repository.js';
import { AuditSubjects } from './audit-subjects.js';
import { AuditVerification } from './audit-verification.js';
import { AuditInterceptor } from './audit.interceptor.js';
import { RequestAudit } from './request-audit.js';

/** What was done by whom: written, sealed, verified, shown and, in the end, removed. */
@Module({
  controllers: [AuditLogsController],
  providers: [
    AuditChain,
    AuditCollections,
    AuditLog,
    AuditLogMetrics,
    AuditRetention,
    AuditRowsRepository,
    AuditSealing,
    AuditSegmentsRepository,
    AuditSubjects,
    AuditVerification,
    RequestAudit,
    { provide: APP_INTERCEPTOR, useClass: AuditInterceptor },
  ],
  exports: [AuditLog, AuditRetention, AuditSealing, AuditSubjects, RequestAudit],
})
export class AuditModule {
  constructor(lifecycle: LifecycleRegistry, log: AuditLog) {
    // Stopped after all that tells it something, before the database.
    lifecycle.register('recovery', log);
  }
}
