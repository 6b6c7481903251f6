import { describe, expect, it } from '@jest/globals';
import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { lastValueFrom, of, throwError } from 'rxjs';
import { Roles } from '../auth/access.decorators.js';
import type { Principal } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import type { AuditEntry } from './audit-entry.js';
import { AuditInterceptor } from './audit.interceptor.js';
import { AuditSubjects } from './audit-subjects.js';
import { RequestAudit } from './request-audit.js';

class Keys {
  @Roles('admin')
  create(): void {}

  @Roles('operator')
  use(): void {}
}

class FakeLog {
  readonly appended: AuditEntry[] = [];
  readonly recorded: AuditEntry[] = [];
  isAway = false;

  append = (entry: AuditEntry): Promise<void> => {
    this.appended.push(entry);
    return this.isAway ? Promise.reject(new AppError('service.unavailable', 'away')) : Promise.resolve();
  };

  record = (entry: AuditEntry): void => void this.recorded.push(entry);
}

interface Call {
  readonly handler?: 'create' | 'use';
  readonly method?: string;
  readonly kind?: Principal['kind'];
  readonly headers?: Readonly<Record<string, string>>;
  readonly status?: number;
  readonly result?: ReturnType<CallHandler['handle']>;
  readonly log?: FakeLog;
}

function call({
  handler = 'use',
  method = 'POST',
  kind = 'user',
  headers = {},
  status = 201,
  result,
  log = new FakeLog(),
}: Call) {
  const principal = { kind, id: 'ada', role: 'admin', tenantId: 'acme' };
  const request = { method, principal, params: {}, route: { path: '/api/v1/api-keys' } };
  const response = { statusCode: status, getHeader: (name: string) => headers[name] };
  const context = {
    switchToHttp: () => ({ getRequest: () => request, getResponse: () => response }),
    getHandler: () => Keys.prototype[handler],
    getClass: () => Keys,
  } as unknown as ExecutionContext;
  const interceptor = new AuditInterceptor(new Reflector(), new RequestAudit(log as never, new AuditSubjects()));
  const answer = { id: '1', name: 'ci', secret: 'csk_canary' };
  const handled = interceptor.intercept(context, { handle: () => result ?? of(answer) });
  return { log, answered: lastValueFrom(handled) };
}

describe('the audit of requests', () => {
  it('stores what needs an admin, or is secret, before the answer leaves', async () => {
    for (const each of [{ handler: 'create' }, { headers: { 'Cache-Control': 'no-store' } }] as const) {
      const { log, answered } = call(each);
      await answered;
      expect(log.appended).toMatchObject([{ action: 'api-key.create', target: { type: 'api-key', id: '1' } }]);
      expect(log.recorded).toEqual([]);
    }
  });

  it('holds a credential back that could not be audited', async () => {
    const log = new FakeLog();
    log.isAway = true;
    await expect(call({ handler: 'create', log }).answered).rejects.toMatchObject({ code: 'service.unavailable' });
  });

  it('makes nobody wait for the rest', async () => {
    const log = new FakeLog();
    log.isAway = true;
    await expect(call({ log }).answered).resolves.toMatchObject({ id: '1' });
    expect(log.recorded).toHaveLength(1);
  });

  it('takes ids and names of an answer, nothing else', async () => {
    const { log, answered } = call({ handler: 'create' });
    await answered;
    expect(JSON.stringify(log.appended)).not.toContain('csk_canary');
    expect(log.appended[0]?.detail).toEqual({ name: 'ci' });
  });

  it('tells of failures by their code, of unknown ones without their text', async () => {
    const refused = call({ result: throwError(() => new AppError('job.limit', 'full')) });
    await expect(refused.answered).rejects.toMatchObject({ code: 'job.limit' });
    expect(refused.log.recorded).toMatchObject([{ outcome: 'failure', reason: 'job.limit', request: { status: 429 } }]);
    const broken = call({ result: throwError(() => new Error('canary')) });
    await expect(broken.answered).rejects.toThrow('canary');
    expect(broken.log.recorded).toMatchObject([{ reason: 'internal', request: { status: 500 } }]);
    expect(JSON.stringify(broken.log.recorded)).not.toContain('canary');
  });

  it('tells of a failure that is answered again that it is one', async () => {
    const headers = { 'Idempotency-Replayed': 'true' };
    const problem = of({ code: 'gateway.outcome_unknown', title: 'Not known' });
    const { log, answered } = call({ headers, status: 504, result: problem });
    await answered;
    const reason = 'gateway.outcome_unknown';
    expect(log.recorded).toMatchObject([{ outcome: 'failure', reason, detail: { replayed: true }, target: null }]);
  });

  it('tells nothing of reads, nor of agents, whose jobs keep a history', async () => {
    for (const each of [{ method: 'GET' }, { kind: 'agent' }] as const) {
      const { log, answered } = call(each);
      await answered;
      expect([log.appended, log.recorded]).toEqual([[], []]);
    }
  });
});
