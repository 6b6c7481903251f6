import { Code, ConnectError } from '@connectrpc/connect';

/**
 * `not-reached`: the request was surely not processed. `cut`: it may have been. `too-late`: the deadline passed.
 * `oversized`, `unreadable`: an answer came and cannot be used. `not-connect`: somebody on the way answered, not the
 * subsystem's RPC server. `redirected`: it answered with a redirect, which is not followed.
 */
export type CallFailureKind =
  'not-reached' | 'cut' | 'too-late' | 'oversized' | 'unreadable' | 'not-connect' | 'redirected';

/** What went wrong on the way to a subsystem or back. The message tells no address. */
export class CallFailure extends Error {
  /** Whether the request was, or may have been, handed to the peer. */
  readonly mayBeProcessed: boolean;

  constructor(
    readonly kind: CallFailureKind,
    message: string,
    options: { readonly cause?: unknown; readonly code?: Code; readonly mayBeProcessed?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CallFailure';
    this.code = options.code ?? CODES[kind];
    this.mayBeProcessed = options.mayBeProcessed ?? kind !== 'not-reached';
  }

  readonly code: Code;
}

const CODES: Readonly<Record<CallFailureKind, Code>> = {
  'not-reached': Code.Unavailable,
  cut: Code.Unavailable,
  'too-late': Code.DeadlineExceeded,
  oversized: Code.ResourceExhausted,
  unreadable: Code.Internal,
  'not-connect': Code.Unknown,
  redirected: Code.Unknown,
};

/**
 * As the port tells it, with the failure as its cause: a mutation that may have been processed has an unknown outcome,
 * whatever went wrong.
 */
export function shownFailure(failure: CallFailure, isMutation: boolean): ConnectError {
  if (isMutation && failure.mayBeProcessed) {
    const message = `${failure.message}: whether it took effect is not known`;
    return new ConnectError(message, Code.Unknown, undefined, undefined, failure);
  }
  return new ConnectError(failure.message, failure.code, undefined, undefined, failure);
}
