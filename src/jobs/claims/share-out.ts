import type { Types } from 'mongoose';
import type { ClaimWaiter } from './claim-waiter.js';

/** Which jobs each claim is to get. */
export type Shares = ReadonlyMap<ClaimWaiter, Types.ObjectId[]>;

/** One by one in turn, so that the first jobs do not all go to one agent. */
export function shareOut(ids: readonly Types.ObjectId[], waiters: readonly ClaimWaiter[]): Shares {
  const shares = new Map<ClaimWaiter, Types.ObjectId[]>();
  let open = [...waiters];
  let next = 0;
  for (const id of ids) {
    const waiter = open[next % open.length];
    if (!waiter) break;
    const share = shares.get(waiter) ?? [];
    share.push(id);
    shares.set(waiter, share);
    if (share.length < waiter.capacity) next += 1;
    else open = open.filter((each) => each !== waiter);
  }
  return shares;
}
