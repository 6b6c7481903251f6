import type { AuditEntry } from '../../src/audit/audit-entry.js';
import { AppError } from '../../src/errors/app-error.js';

/** Keeps what was told, oldest first. */
export class FakeAuditLog {
  readonly entries: AuditEntry[] = [];
  isAway = false;

  append = (entry: AuditEntry): Promise<void> => {
    if (this.isAway) return Promise.reject(new AppError('service.unavailable', 'the audit log is away'));
    this.entries.push(entry);
    return Promise.resolve();
  };

  record = (entry: AuditEntry): void => void this.entries.push(entry);

  clear(): void {
    this.entries.length = 0;
    this.isAway = false;
  }
}
