import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request, Response } from 'express';
import { type Observable, from, lastValueFrom } from 'rxjs';
import { ACCESS, type Access, type AuthenticatedRequest } from '../auth/access.decorators.js';
import { RequestAudit } from './request-audit.js';

type HttpRequest = Request & AuthenticatedRequest;

/**
 * One row for each request that changes something. What needs an admin (credentials, keys, tokens, tenants, pausing) and
 * what must not be cached, being a secret, is stored before the answer leaves; the rest soon after.
 */
@Injectable()
export class AuditInterceptor implements NestInterceptor {
  constructor(
    private readonly reflector: Reflector,
    private readonly audit: RequestAudit,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<HttpRequest>();
    if (!this.audit.takes(request)) return next.handle();
    return from(this.run(context, request, next));
  }

  private async run(context: ExecutionContext, request: HttpRequest, next: CallHandler): Promise<unknown> {
    const response = context.switchToHttp().getResponse<Response>();
    let answer: unknown;
    try {
      answer = await lastValueFrom(next.handle(), { defaultValue: undefined });
    } catch (error) {
      this.audit.failed(request, error);
      throw error;
    }
    const isSecret = String(response.getHeader('Cache-Control') ?? '').includes('no-store');
    await this.audit.succeeded(request, response, answer, isSecret || this.needsAdmin(context));
    return answer;
  }

  private needsAdmin(context: ExecutionContext): boolean {
    const targets = [context.getHandler(), context.getClass()];
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, targets);
    return typeof access === 'object' && access.role === 'admin';
  }
}
