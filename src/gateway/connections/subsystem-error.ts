import { Code, ConnectError } from '@connectrpc/connect';

/** Characters of a subsystem's message that are passed on. */
const MAX_MESSAGE = 512;

/** What a subsystem may say of a request; its other codes speak of its own inside, or of our credentials. */
const PASSED_ON: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.InvalidArgument,
  Code.DeadlineExceeded,
  Code.NotFound,
  Code.AlreadyExists,
  Code.PermissionDenied,
  Code.ResourceExhausted,
  Code.FailedPrecondition,
  Code.Aborted,
  Code.OutOfRange,
  Code.Unimplemented,
  Code.Unavailable,
]);

/** An error that a subsystem answered, as it may be shown: its message shortened and cleaned, without details and metadata. */
export function errorFromSubsystem(error: ConnectError): ConnectError {
  if (PASSED_ON.has(error.code)) return new ConnectError(cleanMessage(error.rawMessage), error.code);
  if (error.code === Code.Unknown) return new ConnectError('the subsystem failed to answer', Code.Unknown);
  return new ConnectError('the subsystem failed to answer', Code.Internal);
}

/** Without control characters and halves of surrogate pairs: the message is shown in logs and terminals. */
function cleanMessage(message: string): string {
  const short = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE - 1)}…` : message;
  return short.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').toWellFormed();
}
