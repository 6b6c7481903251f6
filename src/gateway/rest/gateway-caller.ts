import { type ExecutionContext, createParamDecorator } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { AuthenticatedRequest } from '../../auth/access.decorators.js';
import type { Caller } from '../routing/caller.js';

/**
 * Who asks the engine over REST. A read ends with its client; a mutation is carried through although the client left,
 * since its answer is kept for those that repeat it under its `Idempotency-Key`.
 */
export const GatewayCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const request = context.switchToHttp().getRequest<Request & AuthenticatedRequest>();
  const response = context.switchToHttp().getResponse<Response>();
  const { principal } = request;
  if (!principal) throw new Error('a public route has no principal');
  const left = new AbortController();
  if (request.method !== 'GET')
    return { principal, signal: left.signal, idempotencyKey: request.get('idempotency-key') };
  response.once('close', () => {
    if (!response.writableFinished) left.abort();
  });
  return { principal, signal: left.signal };
});
