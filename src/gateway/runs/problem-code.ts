import { Code, type ConnectError } from '@connectrpc/connect';
import type { ErrorCode } from '../../errors/error-codes.js';
import { AmbiguousId } from '../routing/owner-error.js';
import { isUndecided } from './run-command-error.js';

const CODES: Readonly<Partial<Record<Code, ErrorCode>>> = {
  [Code.InvalidArgument]: 'request.invalid',
  [Code.OutOfRange]: 'request.invalid',
  [Code.NotFound]: 'resource.not_found',
  [Code.FailedPrecondition]: 'gateway.refused',
  [Code.Aborted]: 'gateway.refused',
  [Code.AlreadyExists]: 'gateway.refused',
  [Code.PermissionDenied]: 'gateway.refused',
  [Code.Unimplemented]: 'gateway.unimplemented',
  [Code.Unavailable]: 'gateway.subsystem_unavailable',
  [Code.DeadlineExceeded]: 'gateway.subsystem_timeout',
};

/** The code of the problem that an error of the engine is: what REST answers, and the audit log has whichever way it came. */
export function problemCodeOf(error: ConnectError, isMutation: boolean): ErrorCode {
  if (isMutation && isUndecided(error)) return 'gateway.outcome_unknown';
  if (error.cause instanceof AmbiguousId) return 'gateway.ambiguous_id';
  return CODES[error.code] ?? 'gateway.subsystem_failed';
}
