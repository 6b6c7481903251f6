import { Code, ConnectError } from '@connectrpc/connect';
import { CallFailure } from '../connections/call-failure.js';
import type { FailureReason } from './answer.js';

/**
 * Why the part of a subsystem is missing, from what a call to it was rejected with. `oversized` is only what we refuse to
 * read: a subsystem that is itself out of something, of a quota say, has `failed`.
 */
export function failureReason(error: unknown): FailureReason {
  const { code, cause } = ConnectError.from(error);
  if (cause instanceof CallFailure && cause.kind === 'oversized') return 'oversized';
  if (code === Code.DeadlineExceeded) return 'timeout';
  if (code === Code.Unavailable) return 'unreachable';
  return code === Code.Unimplemented ? 'unimplemented' : 'failed';
}
