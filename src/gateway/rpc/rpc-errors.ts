import { Code, ConnectError } from '@connectrpc/connect';
import { AppError } from '../../errors/app-error.js';
import { invalidArgument } from '../input/invalid-argument.js';

const CODE_OF_STATUS: Readonly<Record<number, Code>> = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.NotFound,
  409: Code.FailedPrecondition,
  413: Code.ResourceExhausted,
  421: Code.PermissionDenied,
  422: Code.InvalidArgument,
  429: Code.ResourceExhausted,
  503: Code.Unavailable,
};

/** Logs what nobody expected. */
export type LogUnexpected = (error: unknown) => void;

/**
 * The error that a caller is told. Ours keep their meaning; an unknown one is logged in full and shown as `internal`.
 * What ended because the call's time was over, or the service, is told as that.
 */
export function connectErrorOf(thrown: unknown, signal: AbortSignal, unexpected: LogUnexpected): ConnectError {
  if (signal.aborted) {
    const { reason } = signal as { reason: unknown };
    if (reason instanceof ConnectError) return reason;
    return new ConnectError('the call was canceled', Code.Canceled);
  }
  if (thrown instanceof ConnectError) return thrown;
  if (thrown instanceof AppError) return ofAppError(thrown);
  unexpected(thrown);
  return new ConnectError('something went wrong here; the log has the details under the request id', Code.Internal);
}

function ofAppError({ status, detail, errors, headers }: AppError): ConnectError {
  const code = CODE_OF_STATUS[status] ?? Code.Internal;
  if (code === Code.InvalidArgument && errors.length > 0) {
    return invalidArgument(...errors.map(({ path, message }) => ({ field: path, description: message })));
  }
  return new ConnectError(detail, code, { ...headers });
}
