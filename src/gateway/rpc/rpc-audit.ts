import { Inject, Injectable } from '@nestjs/common';
import { AuditLog } from '../../audit/index.js';
import type { EndedRpc, RpcObserver } from './rpc-call.js';

/** What is done, in the words that the same over REST has, and to what. */
const DEEDS: Readonly<Record<string, { readonly action: string; readonly type: string }>> = {
  RetryRun: { action: 'run.retry', type: 'run' },
  RetryFromStep: { action: 'run.retry-from-step', type: 'run' },
  CancelRun: { action: 'run.cancel', type: 'run' },
  PauseRun: { action: 'run.pause', type: 'run' },
  ResumeRun: { action: 'run.resume', type: 'run' },
  SkipStep: { action: 'run.skip-step', type: 'run' },
  BulkRetry: { action: 'run.bulk-retry', type: 'run' },
  BulkCancel: { action: 'run.bulk-cancel', type: 'run' },
  Reindex: { action: 'search.reindex', type: 'search' },
};

/** Tells the audit log of RPCs by people and keys that change something, refused ones too. */
@Injectable()
export class RpcAudit implements RpcObserver {
  constructor(@Inject(AuditLog) private readonly log: Pick<AuditLog, 'record'>) {}

  ended({ service, method, access, principal, request, code, status, requestId }: EndedRpc): void {
    if (access !== 'operator' || !principal) return;
    const deed = DEEDS[method] ?? { action: `gateway.${method}`, type: 'run' };
    const { runId, runIds } = (request ?? {}) as { readonly runId?: unknown; readonly runIds?: unknown };
    this.log.record({
      tenantId: principal.tenantId,
      actor: { kind: principal.kind, id: principal.id },
      action: deed.action,
      target: typeof runId === 'string' && runId !== '' ? { type: deed.type, id: runId } : null,
      outcome: code === 'ok' ? 'success' : 'failure',
      ...(code === 'ok' ? {} : { reason: code }),
      ...(Array.isArray(runIds) ? { detail: { runs: runIds.length } } : {}),
      request: { method: 'POST', route: `/${service}/${method}`, status, requestId },
    });
  }
}
