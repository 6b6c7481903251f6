import { Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { AuthenticatedRequest } from '../auth/access.decorators.js';
import { knownError } from '../http/problem.js';
import { requestContext } from '../logging/index.js';
import type { AuditEntry, AuditTarget } from './audit-entry.js';
import { AuditLog } from './audit-log.js';
import { AuditSubjects } from './audit-subjects.js';
import { auditedAction } from './audited-action.js';

const MUTATING: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

type HttpRequest = Request & AuthenticatedRequest;

interface Outcome {
  readonly status: number;
  /** Code of the problem; absent when it went well. */
  readonly reason?: string;
  readonly answer?: unknown;
  readonly isReplayed?: boolean;
}

/**
 * Tells the audit log of requests by people and keys that change something. Agents' claims, beats and reports are not
 * told: jobs keep their own history. Of bodies nothing is taken, so no secret, but what a room has registered at
 * `AuditSubjects` reads of them; of answers ids and names.
 */
@Injectable()
export class RequestAudit {
  private readonly seen = new WeakSet<Request>();

  constructor(
    private readonly log: AuditLog,
    private readonly subjects: AuditSubjects,
  ) {}

  /** Whether the request has to be told. One that is taken here is not told as refused. */
  takes(request: HttpRequest): boolean {
    if (!isAudited(request)) return false;
    this.seen.add(request);
    return true;
  }

  /** Resolves when it is stored, if it has to be before the answer may leave. @throws AppError `service.unavailable` */
  async succeeded(request: HttpRequest, response: Response, answer: unknown, isCredential: boolean): Promise<void> {
    const isReplayed = response.getHeader('Idempotency-Replayed') !== undefined;
    const { statusCode: status } = response;
    // What is answered again may be a problem.
    const failed = status >= 400 ? { reason: textOf(answer, 'code') ?? 'internal' } : {};
    const entries = this.entriesOf(request, { status, answer, isReplayed, ...failed });
    for (const entry of entries) {
      if (isCredential) await this.log.append(entry);
      else this.log.record(entry);
    }
  }

  failed(request: HttpRequest, thrown: unknown): void {
    const error = knownError(thrown);
    this.record(request, { status: error?.status ?? 500, reason: error?.code ?? 'internal' });
  }

  /** Of a request whose answer is through: tells it if it was refused to a known caller before it came to its handler. */
  ended(request: HttpRequest, response: Response): void {
    if (response.statusCode !== 403 || this.seen.has(request) || !isAudited(request)) return;
    this.record(request, { status: 403, reason: 'auth.forbidden' });
  }

  private record(request: HttpRequest, outcome: Outcome): void {
    for (const entry of this.entriesOf(request, outcome)) this.log.record(entry);
  }

  private entriesOf(request: HttpRequest, outcome: Outcome): readonly AuditEntry[] {
    const entry = entryOf(request, outcome);
    const subjectsOf = this.subjects.find(routeOf(request));
    if (!subjectsOf) return [entry];
    return subjectsOf(request, outcome.reason).map((subject) => ({
      ...entry,
      ...subject,
      detail: { ...entry.detail, ...subject.detail },
    }));
  }
}

function isAudited({ method, principal }: HttpRequest): boolean {
  return MUTATING.has(method) && principal !== undefined && principal.kind !== 'agent';
}

function entryOf(request: HttpRequest, { status, reason, answer, isReplayed }: Outcome): AuditEntry {
  const { principal, method } = request;
  if (!principal) throw new Error('the request has no principal');
  const route = routeOf(request);
  const { action, target, type } = auditedAction(method, route, request.params);
  const made = target === null ? madeBy(answer, type) : null;
  const name = textOf(answer, 'name');
  const resultId = textOf(answer, 'id');
  return {
    tenantId: textOf(answer, 'tenantId') ?? principal.tenantId,
    actor: { kind: principal.kind, id: principal.id },
    action,
    target: target ?? made,
    outcome: reason === undefined ? 'success' : 'failure',
    ...(reason === undefined ? {} : { reason }),
    detail: {
      ...(name === undefined ? {} : { name }),
      ...(target && resultId !== undefined && resultId !== target.id ? { resultId } : {}),
      ...(isReplayed ? { replayed: true } : {}),
    },
    request: { method, route, status, requestId: requestContext.getStore()?.requestId ?? null },
  };
}

/** The template, which holds no ids. */
function routeOf(request: Request): string {
  const route: unknown = request.route;
  const path = typeof route === 'object' && route !== null && 'path' in route ? route.path : undefined;
  return typeof path === 'string' ? path : 'unknown';
}

function madeBy(answer: unknown, type: string): AuditTarget | null {
  const id = textOf(answer, 'id');
  return id === undefined ? null : { type, id };
}

function textOf(answer: unknown, field: 'code' | 'id' | 'name' | 'tenantId'): string | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined;
  const value = (answer as Readonly<Record<string, unknown>>)[field];
  return typeof value === 'string' ? value : undefined;
}
