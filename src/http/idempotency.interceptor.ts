import { createHash } from 'node:crypto';
import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { Request, Response } from 'express';
import { type Observable, from, lastValueFrom, of } from 'rxjs';
import type { AuthenticatedRequest } from '../auth/access.decorators.js';
import { AppError } from '../errors/app-error.js';
import { requestContext } from '../logging/index.js';
import { type Answer, IdempotencyKeysRepository } from './idempotency-keys.repository.js';
import { problemOf } from './problem.js';

/** What a route may say of the first request with a key to whoever looks at its repeats, which come to no handler. */
export interface RepeatableRequest {
  /** Asked when it is answered. */
  noteForRepeats?: () => string;
  /** Of a repeat: what the first one noted. */
  noteOfFirst?: string;
}

type HttpRequest = Request & AuthenticatedRequest & RepeatableRequest;

const KEY = /^[\x21-\x7e]{1,128}$/;

/**
 * `Idempotency-Key` on a POST: the request is done once, repeats get the first one's answer for 24 h.
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(private readonly keys: IdempotencyKeysRepository) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const request = context.switchToHttp().getRequest<HttpRequest>();
    const response = context.switchToHttp().getResponse<Response>();
    const key = request.get('idempotency-key');
    const { principal } = request;
    if (key === undefined || !principal) return next.handle();
    if (!KEY.test(key)) {
      throw AppError.invalid([{ path: 'Idempotency-Key', message: 'expected 1 to 128 visible ASCII characters' }]);
    }
    const claim = await this.keys.claim(principal, key, requestHash(request));
    if (claim === 'other-request') {
      throw new AppError(
        'request.idempotency_key_reused',
        'this Idempotency-Key came with another request; take a new key',
      );
    }
    if (claim === 'running') {
      throw new AppError(
        'request.idempotency_key_running',
        'the first request with this key still runs; repeat it later',
        {
          headers: { 'Retry-After': '1' },
        },
      );
    }
    if (claim === 'first') return from(this.run(next, request, response, principal, key));
    if (claim.note !== undefined) request.noteOfFirst = claim.note;
    response.status(claim.status).set('Idempotency-Replayed', 'true');
    if (claim.status >= 400) response.type('application/problem+json');
    if (claim.location !== null) response.set('Location', claim.location);
    return of(JSON.parse(claim.body));
  }

  private async run(
    next: CallHandler,
    request: HttpRequest,
    response: Response,
    principal: NonNullable<AuthenticatedRequest['principal']>,
    key: string,
  ): Promise<unknown> {
    try {
      const body: unknown = await lastValueFrom(next.handle());
      const location = response.getHeader('Location');
      await this.keys.answer(principal, key, {
        status: response.statusCode,
        location: typeof location === 'string' ? location : null,
        body: JSON.stringify(body ?? null),
        ...noteOf(request),
      });
      return body;
    } catch (error) {
      const kept = keptFailure(error);
      if (kept) await this.keys.answer(principal, key, { ...kept, ...noteOf(request) });
      else await this.keys.release(principal, key);
      throw error;
    }
  }
}

/** After most failures nothing was done. One that leaves that open is the answer of repeats too: they must not do it again. */
function keptFailure(error: unknown): Answer | undefined {
  if (!(error instanceof AppError) || error.code !== 'gateway.outcome_unknown') return undefined;
  const problem = problemOf(error, requestContext.getStore()?.requestId);
  return { status: error.status, location: null, body: JSON.stringify(problem) };
}

function noteOf({ noteForRepeats }: RepeatableRequest): Pick<Answer, 'note'> {
  return noteForRepeats ? { note: noteForRepeats() } : {};
}

function requestHash(request: Request): string {
  const body: unknown = request.body;
  const content = typeof body === 'string' ? body : JSON.stringify(body ?? null);
  return createHash('sha256').update(`${request.method} ${request.originalUrl}\n${content}`).digest('hex');
}
