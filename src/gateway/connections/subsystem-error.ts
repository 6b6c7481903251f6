import { Code, ConnectError } from '@connectrpc/connect';
import { circleRefusal, isCircleRefusal } from './gateway-circle.js';
import { toldText } from './told-text.js';

/** An error that a subsystem answered, as it came. */
export class AnsweredError extends Error {
  constructor(readonly answered: ConnectError) {
    super('the subsystem answered with an error');
    this.name = 'AnsweredError';
  }
}

/** What a subsystem says of the request: its own words. With any other code it speaks of its inside, or of us. */
const OF_THE_REQUEST: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.ResourceExhausted,
  Code.FailedPrecondition,
  Code.Aborted,
  Code.OutOfRange,
  Code.Unimplemented,
]);

/**
 * An error that a subsystem answered, as it may be shown, without metadata, and without details but that of a circle of
 * gateways. What it says of the request is shortened and cleaned of addresses; else it is named, in our words:
 * - nobody who asked us can be `unauthenticated` or lack permission there, since it knows only this gateway: `internal`;
 * - nor was it the caller who `canceled`: `unavailable`, and of a mutation `unknown`, since it may be half done.
 */
export function shownAnswer({ answered }: AnsweredError, subsystemId: string, isMutation: boolean): ConnectError {
  const { code, rawMessage } = answered;
  if (isCircleRefusal(answered)) return circleRefusal(toldText(rawMessage));
  if (OF_THE_REQUEST.has(code)) return new ConnectError(toldText(rawMessage), code);
  const who = `subsystem ${subsystemId}`;
  switch (code) {
    case Code.Unavailable:
      return new ConnectError(`${who} says that it is not available; ask again later`, code);
    case Code.DeadlineExceeded:
      return new ConnectError(`${who} says that it ran out of time; ask again, for less or with more time`, code);
    case Code.Canceled:
      return isMutation
        ? new ConnectError(`${who} broke off: whether it took effect is not known`, Code.Unknown)
        : new ConnectError(`${who} broke off; ask again`, Code.Unavailable);
    case Code.PermissionDenied:
    case Code.Unauthenticated:
      return new ConnectError(`${who} does not let this gateway in; look at what access it asks for`, Code.Internal);
    default:
      return new ConnectError(
        `${who} failed to answer; its own log may say why`,
        code === Code.Unknown ? code : Code.Internal,
      );
  }
}
