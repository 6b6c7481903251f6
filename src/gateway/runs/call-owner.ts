import { Code, ConnectError } from '@connectrpc/connect';
import { isCircleRefusal } from '../connections/gateway-circle.js';
import type { OwnedRun, RunOwners } from '../routing/run-owners.js';

/**
 * Calls the owner of a run. If it answers `not_found` although it was remembered as the owner, that is forgotten and the
 * owner looked for once more; so too if it is a gateway that is looking for the run itself, and asks us. A mutation may go
 * through this too: what answered so has changed nothing.
 *
 * @param find Looks for the owner; called a second time at most.
 */
export async function callOwner<T>(
  owners: RunOwners,
  find: () => Promise<OwnedRun>,
  call: (owned: OwnedRun) => Promise<T>,
): Promise<T> {
  const owned = await find();
  try {
    return await call(owned);
  } catch (error) {
    if (ConnectError.from(error).code !== Code.NotFound && !isCircleRefusal(error)) throw error;
    owners.forget(owned.subsystem, owned.runId);
    if (owned.qualified) throw error;
    const found = await find();
    // It does have the run: what it does not have is a step of it.
    if (found.subsystem === owned.subsystem) throw error;
    return call(found);
  }
}
