import { Injectable } from '@nestjs/common';
import { type AuditDetail, AuditLog, type AuditTarget } from '../../audit/index.js';
import type { EndedRpc, RpcObserver } from './rpc-call.js';

const OF_RUNS = new Set(['RunService']);
/** What of a request tells what was done; never a reason somebody typed in. */
const DETAILS = ['stepName', 'workflowId'] as const;

/** One row for each call over RPC that changes something, as for each such request over REST. */
@Injectable()
export class RpcAudit implements RpcObserver {
  constructor(private readonly audit: AuditLog) {}

  ended({ service, method, access, principal, request, code, status, requestId }: EndedRpc): void {
    if (access !== 'operator' || !principal) return;
    const type = OF_RUNS.has(service.slice(service.lastIndexOf('.') + 1)) ? 'run' : 'search-index';
    this.audit.record({
      tenantId: principal.tenantId,
      actor: { kind: principal.kind, id: principal.id },
      action: `${type}.${verbOf(method)}`,
      target: targetOf(type, request),
      outcome: code === 'ok' ? 'success' : 'failure',
      ...(code === 'ok' ? {} : { reason: code }),
      detail: detailOf(request),
      request: { method: 'POST', route: `/${service}/${method}`, status, requestId },
    });
  }
}

/** `RetryFromStep` is `retry-from-step`; that it is of a run is said already. */
function verbOf(method: string): string {
  return method
    .replace(/Run$/, '')
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-')
    .toLowerCase();
}

function targetOf(type: string, request: unknown): AuditTarget | null {
  const { runId } = (request ?? {}) as { readonly runId?: unknown };
  return typeof runId === 'string' ? { type, id: runId } : null;
}

function detailOf(request: unknown): AuditDetail {
  const fields = (request ?? {}) as Readonly<Record<string, unknown>>;
  const detail: Record<string, string | number> = {};
  for (const name of DETAILS) {
    const value = fields[name];
    if (typeof value === 'string' && value !== '') detail[name] = value;
  }
  if (Array.isArray(fields['runIds'])) detail['runs'] = fields['runIds'].length;
  return detail;
}
