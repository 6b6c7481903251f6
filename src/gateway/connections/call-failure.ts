import { Code, ConnectError } from '@connectrpc/connect';

/**
 * `not-reached`: the request was surely not processed. `cut`: it may have been. `too-late`: the deadline passed.
 * `oversized`, `unreadable`: an answer came and cannot be used. `not-connect`: somebody on the way answered, not the
 * subsystem's RPC server. `redirected`: it answered with a redirect, which is not followed.
 */
export type CallFailureKind =
  'not-reached' | 'cut' | 'too-late' | 'oversized' | 'unreadable' | 'not-connect' | 'redirected';

/** What went wrong on the way to a subsystem, which is `it` in the message, or back. The message tells no address. */
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

const ADVICE: Readonly<Record<CallFailureKind, string>> = {
  'not-reached': 'ask again, and look at its state among the subsystems of the gateway',
  cut: 'ask again',
  'too-late': 'ask again, for less or with a longer deadline',
  oversized: 'ask for less, or raise CROWSNEST_GATEWAY_MAX_MESSAGE',
  unreadable: 'look at what answers at its endpoint',
  'not-connect': 'look at what answers at its endpoint',
  redirected: 'register the address that it leads to',
};

/**
 * As the port tells it, naming the subsystem, with the failure as its cause: a mutation that may have been processed has an unknown outcome,
 * whatever went wrong.
 */
export function shownFailure(failure: CallFailure, subsystemId: string, isMutation: boolean): ConnectError {
  const what = `subsystem ${subsystemId}: ${failure.message}`;
  if (isMutation && failure.mayBeProcessed) {
    const message = `${what}: whether it took effect is not known`;
    return new ConnectError(message, Code.Unknown, undefined, undefined, failure);
  }
  return new ConnectError(`${what}; ${ADVICE[failure.kind]}`, failure.code, undefined, undefined, failure);
}
