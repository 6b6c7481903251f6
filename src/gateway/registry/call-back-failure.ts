import { Code, ConnectError } from '@connectrpc/connect';
import { DialError, EgressRefused } from '../../egress/index.js';
import { CallFailure } from '../connections/call-failure.js';
import { isCircleRefusal } from '../connections/gateway-circle.js';

/**
 * Why an endpoint cannot be called. No connection: `dns` (its name has no address), `not_allowed` (by the egress policy),
 * `refused`, `tls` (no trusted certificate), `timeout` (also: no answer in time), `cut` (also: in the middle of an answer).
 * Something else listens there: `redirected`, `not_connect`, `loop` (it leads back to this gateway). What listens there
 * answers badly: `unreadable` (too large, or not the message), `unimplemented`, `unavailable`, `failed` (any other error).
 */
export const CALL_BACK_FAILURES = [
  'dns',
  'not_allowed',
  'refused',
  'tls',
  'timeout',
  'cut',
  'redirected',
  'not_connect',
  'loop',
  'unreadable',
  'unimplemented',
  'unavailable',
  'failed',
] as const;
export type CallBackFailure = (typeof CALL_BACK_FAILURES)[number];

/** @param error what a call to the endpoint was rejected with. */
export function callBackFailureOf(error: unknown): CallBackFailure {
  const { cause, code } = ConnectError.from(error);
  if (cause instanceof CallFailure) return onTheWay(cause);
  if (isCircleRefusal(error)) return 'loop';
  if (code === Code.DeadlineExceeded) return 'timeout';
  if (code === Code.Unimplemented) return 'unimplemented';
  return code === Code.Unavailable ? 'unavailable' : 'failed';
}

/** Whether no subsystem is there: nothing that was asked has been answered by one, quickly or slowly, well or badly. */
export function isAway(error: unknown): boolean {
  const { cause } = ConnectError.from(error);
  if (!(cause instanceof CallFailure)) return isCircleRefusal(error);
  return ['not-reached', 'redirected', 'not-connect'].includes(cause.kind);
}

function onTheWay({ kind, cause }: CallFailure): CallBackFailure {
  switch (kind) {
    case 'not-reached':
      return notReached(cause);
    case 'too-late':
      return 'timeout';
    case 'not-connect':
      return 'not_connect';
    case 'oversized':
    case 'unreadable':
      return 'unreadable';
    case 'cut':
    case 'redirected':
      return kind;
  }
}

function notReached(cause: unknown): CallBackFailure {
  // What was in the way the last time, if it has not been tried again.
  if (cause instanceof CallFailure) return onTheWay(cause);
  if (cause instanceof EgressRefused) return 'not_allowed';
  return cause instanceof DialError ? cause.failure : 'unavailable';
}
