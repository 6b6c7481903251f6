import { type ArgumentsHost, Catch, type ExceptionFilter, Injectable, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { AuthenticatedRequest } from '../../auth/access.decorators.js';
import { ProblemFilter } from '../../http/problem.filter.js';
import { knownError } from '../../http/problem.js';
import { TicketStreams } from '../tickets/ticket-streams.js';
import { SseBroadcaster } from './sse-broadcaster.js';

/**
 * Errors of the stream routes. A failure that may pass, the store being away above all, must not be told by its status:
 * an EventSource that got a 5xx would never come back.
 */
@Catch()
@Injectable()
export class StreamProblemFilter implements ExceptionFilter {
  private readonly log = new Logger(StreamProblemFilter.name);
  private readonly problems = new ProblemFilter();

  constructor(
    private readonly broadcaster: SseBroadcaster,
    private readonly ticketStreams: TicketStreams,
  ) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request & AuthenticatedRequest>();
    const response = host.switchToHttp().getResponse<Response>();
    const error = knownError(thrown);
    if ((error && error.status < 500) || response.headersSent) {
      // oxlint-disable-next-line promise/valid-params -- a filter's, not a promise's
      this.problems.catch(thrown, host);
      return;
    }
    this.log.error({ message: 'a stream cannot be served now', error: thrown });
    const refuse = (): void => this.broadcaster.refuse(response, 'overloaded');
    if (request.ticket && request.method !== 'HEAD') void this.ticketStreams.markUsed(request.ticket).then(refuse);
    else refuse();
  }
}
