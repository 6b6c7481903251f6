import { Code, ConnectError } from '@connectrpc/connect';
import { ErrorInfoSchema } from '../gen/google/rpc/error_details_pb.js';

const INFO = { domain: 'crowsnest', reason: 'GATEWAY_CIRCLE' };

/**
 * Ends a request that has been at this gateway before, because gateways are registered with each other in a circle:
 * `failed_precondition` with a `google.rpc.ErrorInfo`, by which the gateways on the way know it.
 */
export function circleRefusal(message: string): ConnectError {
  return new ConnectError(message, Code.FailedPrecondition, undefined, [{ desc: ErrorInfoSchema, value: INFO }]);
}

/**
 * Whether a call ended because it has been there before. It is then no failure of the subsystem: whoever refuses it is
 * answering the request that it came from, and so has nothing that is not asked for already.
 */
export function isCircleRefusal(error: unknown): boolean {
  if (!(error instanceof ConnectError) || error.code !== Code.FailedPrecondition) return false;
  return error
    .findDetails(ErrorInfoSchema)
    .some(({ domain, reason }) => domain === INFO.domain && reason === INFO.reason);
}
