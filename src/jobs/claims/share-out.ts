import type { Types } from 'mongoose';
import { payloadBoundOf } from '../lane.js';
import type { ClaimWaiter } from './claim-waiter.js';
import type { Candidate } from './job-claims.repository.js';

/** Which jobs each claim is to get. */
export type Shares = ReadonlyMap<ClaimWaiter, Types.ObjectId[]>;

/** Of payloads in the answer to one claim, and to all that are served together: they are in memory at the same time. */
export const MAX_BYTES = { answer: 8 * 1024 * 1024, together: 64 * 1024 * 1024 } as const;

/** One by one in turn, so that the first jobs do not all go to one agent. A claim with room for no further job is full. */
export function shareOut(
  candidates: readonly Pick<Candidate, '_id' | 'lane'>[],
  waiters: readonly ClaimWaiter[],
): Shares {
  const shares = new Map<ClaimWaiter, Types.ObjectId[]>();
  const taken = new Map<ClaimWaiter, number>();
  let takenTogether = 0;
  let open = [...waiters];
  let next = 0;
  for (const { _id, lane } of candidates) {
    const bytes = payloadBoundOf(lane);
    if (takenTogether + bytes > MAX_BYTES.together) break;
    let waiter = open[next % open.length];
    while (waiter && (taken.get(waiter) ?? 0) + bytes > MAX_BYTES.answer) {
      open = without(open, waiter);
      waiter = open[next % open.length];
    }
    if (!waiter) break;
    const share = shares.get(waiter) ?? [];
    share.push(_id);
    shares.set(waiter, share);
    taken.set(waiter, (taken.get(waiter) ?? 0) + bytes);
    takenTogether += bytes;
    if (share.length < waiter.capacity) next += 1;
    else open = without(open, waiter);
  }
  return shares;
}

function without(waiters: readonly ClaimWaiter[], one: ClaimWaiter): ClaimWaiter[] {
  return waiters.filter((each) => each !== one);
}
