import { type ExecutionContext, createParamDecorator } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { AuthenticatedRequest } from '../../auth/access.decorators.js';
import type { RepeatableRequest } from '../../http/index.js';
import type { Caller } from '../routing/caller.js';
import { CommandedRuns } from '../routing/commanded-runs.js';

/** A request that changes something: what became known of its runs. */
export interface CommandingRequest extends AuthenticatedRequest, RepeatableRequest {
  commanded?: CommandedRuns;
}

type HttpRequest = CommandingRequest & Pick<Request, 'method' | 'get'>;
type HttpResponse = Pick<Response, 'once' | 'writableFinished'>;

/** @throws Error if the route is public. */
export function callerOf(request: HttpRequest, response: HttpResponse): Caller {
  const { principal, method } = request;
  if (!principal) throw new Error('a public route has no principal');
  const left = new AbortController();
  const { signal } = left;
  if (method !== 'GET') {
    const commanded = new CommandedRuns();
    request.commanded = commanded;
    request.noteForRepeats = () => JSON.stringify(commanded);
    return { principal, signal, idempotencyKey: request.get('idempotency-key'), commanded };
  }
  response.once('close', () => {
    if (!response.writableFinished) left.abort();
  });
  return { principal, signal };
}

/**
 * Who asks the engine over REST. A read ends with its client; a mutation is carried through although the client left,
 * since its answer is kept for those that repeat it under its `Idempotency-Key`.
 */
export const GatewayCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const http = context.switchToHttp();
  return callerOf(http.getRequest<HttpRequest>(), http.getResponse<HttpResponse>());
});
