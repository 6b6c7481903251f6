import { Code, ConnectError } from '@connectrpc/connect';
import type { Subsystem } from '../registry/subsystem-directory.js';

export type CommandCapability = 'retryRun' | 'retryFromStep' | 'cancelRun' | 'pauseRun' | 'resumeRun' | 'skipStep';

/**
 * @throws ConnectError `unimplemented`, as the subsystem itself would answer, if it has said that it does not offer this.
 *   One that has said nothing is asked.
 */
export function requireCapability({ id, capabilities }: Subsystem, capability: CommandCapability): void {
  if (capabilities === undefined || capabilities[capability]) return;
  const name = capability.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  throw new ConnectError(`subsystem ${id} does not offer ${name}`, Code.Unimplemented);
}

/** The error of a mutation; one of which nobody knows whether it took effect says what to do then. */
export function mayHaveTakenEffect(error: unknown, runId: string): ConnectError {
  const failed = ConnectError.from(error);
  if (!isUndecided(failed)) return failed;
  const advice = `it may have taken effect: look at run ${runId} before you ask again`;
  return new ConnectError(`${failed.rawMessage}; ${advice}`, failed.code);
}

/** Whether a mutation that ended so may have taken effect. */
export function isUndecided({ code }: ConnectError): boolean {
  return code === Code.Unknown || code === Code.DeadlineExceeded || code === Code.Canceled || code === Code.Internal;
}
