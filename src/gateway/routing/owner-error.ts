import { Code, ConnectError } from '@connectrpc/connect';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { SubsystemFailure } from './answer.js';
import { formatQualifiedId } from './qualified-id.js';

type Owned = 'run' | 'workflow' | 'subsystem' | 'trace';

/** The cause of the error about a bare id that several have; on the wire it is a `failed_precondition` like others. */
export class AmbiguousId extends Error {}

/** A bare id that several have. */
export function ambiguousId(what: Owned, id: string, owners: readonly Subsystem[]): ConnectError {
  const ids = owners.map((owner) => formatQualifiedId({ subsystemId: owner.id, id }));
  const qualified = ids.toSorted().join(', ');
  const message = `more than one subsystem has a ${what} ${id}: say which by one of ${qualified}`;
  return new ConnectError(message, Code.FailedPrecondition, undefined, undefined, new AmbiguousId(message));
}

/** Nobody who could be asked has it: `unavailable` if somebody could not be asked, since that one may have it. */
export function nobodyHas(what: Owned, id: string, failures: readonly SubsystemFailure[]): ConnectError {
  if (failures.length === 0) {
    const nobody = what === 'subsystem' ? `there is no subsystem ${id}` : `no subsystem has a ${what} ${id}`;
    return new ConnectError(nobody, Code.NotFound);
  }
  const missing = failures.map(({ subsystemId, reason }) => `${subsystemId} (${reason})`).join(', ');
  const nobody =
    what === 'subsystem'
      ? `no subsystem is called ${id}, nor a business domain of those that answered`
      : `no subsystem that answered has a ${what} ${id}`;
  return new ConnectError(`${nobody}; missing: ${missing}`, Code.Unavailable);
}

/** @throws ConnectError `unavailable`: what belongs to one subsystem is never asked of another. */
export function requireConnected(owner: Subsystem): Subsystem {
  if (owner.state === 'connected') return owner;
  throw new ConnectError(`subsystem ${owner.id} is ${owner.state}: try again when it is connected`, Code.Unavailable);
}
