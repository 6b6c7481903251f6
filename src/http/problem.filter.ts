import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { Response } from 'express';
import { AppError } from '../errors/app-error.js';
import { requestContext } from '../logging/index.js';
import { knownError, problemOf } from './problem.js';

/** Every error leaves as application/problem+json. An unknown one is logged in full and shown as `internal`. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly log = new Logger(ProblemFilter.name);

  catch(thrown: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    const requestId = requestContext.getStore()?.requestId;
    const error = knownError(thrown) ?? this.unknown(thrown);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.status(error.status).set(error.headers).type('application/problem+json');
    response.send(JSON.stringify(problemOf(error, requestId)));
  }

  private unknown(thrown: unknown): AppError {
    this.log.error({ message: 'unexpected error', error: thrown });
    return new AppError('internal', 'something went wrong here; the log has the details under the request id', {
      cause: thrown,
    });
  }
}
