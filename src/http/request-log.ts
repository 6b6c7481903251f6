import { Logger } from '@nestjs/common';
import type { RequestHandler } from 'express';
import { requestContext } from '../logging/index.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
/** Belongs in the query, but a caller may put it where an id belongs. */
const TICKET = /cst_[\w-]+/g;

/**
 * Gives each request an id (the caller's `X-Request-Id` if it is sane), echoes it, and logs one line when the answer is
 * through. The query is not logged: it may hold a ticket.
 */
export function requestLog(clock: Clock, random: Random): RequestHandler {
  const log = new Logger('Http');
  return (request, response, next) => {
    const given = request.get('x-request-id');
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : random.uuid();
    const path = request.originalUrl.split('?', 1)[0]?.replaceAll(TICKET, '[ticket]');
    const begun = clock.monotonic();
    response.set('X-Request-Id', requestId);
    requestContext.run({ requestId }, () => {
      response.once('close', () => {
        const durationMs = Math.round(clock.monotonic() - begun);
        const status = response.writableFinished || response.headersSent ? response.statusCode : 499;
        const line = { message: 'request', method: request.method, path, status, durationMs };
        requestContext.run({ requestId }, () => log[levelOf(request.method, status)](line));
      });
      next();
    });
  };
}

/** Changes and refusals are of interest to whoever runs the service, reads to whoever debugs it. */
function levelOf(method: string, status: number): 'warn' | 'log' | 'debug' {
  if (status >= 500) return 'warn';
  return status >= 400 || !['GET', 'HEAD', 'OPTIONS'].includes(method) ? 'log' : 'debug';
}
