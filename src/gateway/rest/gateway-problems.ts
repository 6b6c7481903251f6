import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { ConnectError } from '@connectrpc/connect';
import type { Request } from 'express';
import { type Observable, catchError, throwError } from 'rxjs';
import { AppError, type FieldError } from '../../errors/app-error.js';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';
import { problemCodeOf } from '../runs/problem-code.js';

/** The error of an answer as REST tells it. */
export function problemOfAnswer(error: ConnectError, isMutation: boolean): AppError {
  const code = problemCodeOf(error, isMutation);
  return code === 'request.invalid' ? invalid(error) : new AppError(code, error.rawMessage, { cause: error });
}

function invalid(error: ConnectError): AppError {
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const errors = violations.map(({ field, description }): FieldError => ({
    path: restPath(field),
    message: description,
  }));
  // What a subsystem refuses it does not place.
  return AppError.invalid(errors.length > 0 ? errors : [{ path: '', message: error.rawMessage }]);
}

/** What routes call otherwise than the messages do. */
const REST_NAMES: Readonly<Record<string, string>> = {
  workflowIds: 'workflowId',
  subsystemIds: 'subsystemId',
  statuses: 'status',
  levels: 'level',
  metadataMatch: 'metadata',
};

const IN_PATH: ReadonlySet<string> = new Set(['run_id', 'workflow_id', 'trace_id']);

/** A field of a message as the route calls it: `pagination.limit` is `limit`, and what the path names is `id`. */
function restPath(field: string): string {
  const path = field
    .replace(/^(?:(?:pagination|filter|time_range)\.)+/, '')
    .replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  if (IN_PATH.has(field)) return 'id';
  return path.replace(/^\w+/, (name) => REST_NAMES[name] ?? name);
}

/** Turns errors of the engine into problems; inside of what tells the audit log, which names their codes. */
@Injectable()
export class GatewayProblems implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { method } = context.switchToHttp().getRequest<Request>();
    return next
      .handle()
      .pipe(
        catchError((error: unknown) =>
          throwError(() => (error instanceof ConnectError ? problemOfAnswer(error, method !== 'GET') : error)),
        ),
      );
  }
}
