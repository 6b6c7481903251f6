import { Injectable } from '@nestjs/common';
import type { Request } from 'express';
import type { AuthenticatedRequest } from '../auth/access.decorators.js';
import type { AuditEntry } from './audit-entry.js';

/** What one row tells of a request in place of what its path and its answer say. */
export type AuditSubject = Pick<AuditEntry, 'tenantId' | 'target' | 'outcome' | 'reason' | 'detail'>;

/** One subject for each row. `reason`: why the request failed; undefined if it did not. Never with anything of a secret. */
export type SubjectsOf = (
  request: Request & AuthenticatedRequest,
  reason: string | undefined,
) => readonly AuditSubject[];

/** Where rooms say what their requests are about, if it is not what their path names last. */
@Injectable()
export class AuditSubjects {
  private readonly readers: Array<{ readonly routePrefix: string; readonly subjectsOf: SubjectsOf }> = [];

  /** Before the service starts. Of routes whose template begins so: `/api/v1/gateway/runs/`. */
  register(routePrefix: string, subjectsOf: SubjectsOf): void {
    this.readers.push({ routePrefix, subjectsOf });
  }

  /** Undefined: the path says it. */
  find(route: string): SubjectsOf | undefined {
    return this.readers.find(({ routePrefix }) => route.startsWith(routePrefix))?.subjectsOf;
  }
}
