import { Inject, Injectable } from '@nestjs/common';
import { ConnectError } from '@connectrpc/connect';
import { AuditLog } from '../../audit/index.js';
import { AppError } from '../../errors/app-error.js';
import { problemCodeOf } from '../runs/problem-code.js';
import { runAuditSubjects } from '../runs/run-audit.js';
import type { EndedRpc, RpcObserver } from './rpc-call.js';

/** What is done, in the words that the same over REST has. */
const ACTIONS: Readonly<Record<string, string>> = {
  RetryRun: 'run.retry',
  RetryFromStep: 'run.retry-from-step',
  CancelRun: 'run.cancel',
  PauseRun: 'run.pause',
  ResumeRun: 'run.resume',
  SkipStep: 'run.skip-step',
  BulkRetry: 'run.bulk-retry',
  BulkCancel: 'run.bulk-cancel',
  Reindex: 'search.reindex',
};

/**
 * Tells the audit log of RPCs by people and keys that change something, refused ones too: with the action, target,
 * outcome and reason of the same over REST.
 */
@Injectable()
export class RpcAudit implements RpcObserver {
  constructor(@Inject(AuditLog) private readonly log: Pick<AuditLog, 'record'>) {}

  ended({ service, method, access, principal, request, commanded, failure, code, status, requestId }: EndedRpc): void {
    if (access !== 'operator' || !principal || principal.kind === 'agent') return;
    const named = namedBy(request);
    const reason = code === 'ok' ? undefined : reasonOf(failure);
    for (const subject of runAuditSubjects({ principal, named, reason, commanded })) {
      this.log.record({
        ...subject,
        actor: { kind: principal.kind, id: principal.id },
        action: ACTIONS[method] ?? `gateway.${method}`,
        request: { method: 'POST', route: `/${service}/${method}`, status, requestId },
      });
    }
  }
}

function namedBy(request: unknown): { readonly runId: string } | { readonly runIds: readonly string[] } {
  const { runId = '', runIds } = (request ?? {}) as { readonly runId?: string; readonly runIds?: readonly string[] };
  return runIds ? { runIds } : { runId };
}

/** The code of the problem that REST would answer. */
function reasonOf(failure: unknown): string {
  // Connect could not make a message of what came, or not all of it came.
  if (failure === undefined) return 'request.malformed';
  if (failure instanceof AppError) return failure.code;
  return failure instanceof ConnectError ? problemCodeOf(failure, true) : 'internal';
}
