import { Code, ConnectError } from '@connectrpc/connect';

/**
 * `not-reached`: the request was surely not processed. `cut`: it may have been. `too-late`: the deadline passed.
 * `oversized`, `unreadable`: an answer came and cannot be used. `not-connect`: somebody on the way answered, not the
 * subsystem's RPC server.
 */
export type CallFailureKind = 'not-reached' | 'cut' | 'too-late' | 'oversized' | 'unreadable' | 'not-connect';

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
};

/** As the port tells it: a mutation that may have been processed has an unknown outcome, whatever went wrong. */
export function shownFailure(failure: CallFailure, isMutation: boolean): ConnectError {
  if (isMutation && failure.mayBeProcessed) {
    return new ConnectError(`${failure.message}: whether it took effect is not known`, Code.Unknown);
  }
  return new ConnectError(failure.message, failure.code);
}
