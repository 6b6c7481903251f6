import { Module } from '@nestjs/common';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { AuditCollections } from './audit-collections.js';
import { AuditLog } from './audit-log.js';
import { AuditLogMetrics } from './audit-log.metrics.js';
import { AuditRowsRepository } from './audit-rows.repository.js';

/** What was done by whom: written, sealed, verified, shown and, in the end, removed. */
@Module({
  providers: [AuditCollections, AuditLog, AuditLogMetrics, AuditRowsRepository],
  exports: [AuditLog],
})
export class AuditModule {
  constructor(lifecycle: LifecycleRegistry, log: AuditLog) {
    // Stopped after all that tells it something, before the database.
    lifecycle.register('recovery', log);
  }
}
