import { Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { AuditSubjects } from '../../audit/index.js';
import { CommandedRuns } from '../routing/commanded-runs.js';
import { runAuditSubjects } from '../runs/run-audit.js';
import type { CommandingRequest } from './gateway-caller.js';

/** Tells the audit log which runs commands over REST name, and whose they are: the same as over RPC. */
@Injectable()
export class GatewayRunAudit {
  constructor(private readonly subjects: AuditSubjects) {}

  /** Before the service starts. */
  register(): void {
    this.subjects.register('/api/v1/gateway/runs/', (request, reason) => {
      const { principal, commanded = commandedBefore(request) } = request as CommandingRequest;
      if (!principal) throw new Error('the request has no principal');
      return runAuditSubjects({ principal, named: namedBy(request), reason, commanded });
    });
  }
}

/** Of a command that was answered again: what became known when it was carried out. */
function commandedBefore({ noteOfFirst }: CommandingRequest): CommandedRuns | undefined {
  return noteOfFirst === undefined ? undefined : CommandedRuns.parse(noteOfFirst);
}

/** The body of a bulk command may not be valid. */
function namedBy({ params, body }: Request): { readonly runId: string } | { readonly runIds: readonly string[] } {
  const { id } = params;
  if (id !== undefined) return { runId: String(id) };
  const { runIds } = (body ?? {}) as { readonly runIds?: unknown };
  const named: readonly unknown[] = Array.isArray(runIds) ? runIds : [];
  return { runIds: named.filter((runId) => typeof runId === 'string') };
}
