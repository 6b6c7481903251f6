import type { ServerTime } from '../database/index.js';
import type { JobsConfig } from './jobs.config.js';
import { type Expression, cond, literal, plus } from './update-expressions.js';

/** Doubles up to this many times. */
const MAX_DOUBLINGS = 40;

/** When leases end, why they did, and when the next attempt is: computed from the stored job, by the server's time. */
export class LeaseTimes {
  constructor(
    private readonly time: ServerTime,
    private readonly config: JobsConfig,
  ) {}

  /** base × 2^(attempts − 1), at most the longest, less up to a half by the job's own jitter. */
  backoff(): Expression {
    const { retryBaseMs, retryMaxMs } = this.config;
    const delays = [retryBaseMs];
    while ((delays.at(-1) ?? 0) < retryMaxMs && delays.length < MAX_DOUBLINGS) delays.push((delays.at(-1) ?? 0) * 2);
    const capped = delays.map((delay) => Math.min(delay, retryMaxMs));
    const index = { $min: [{ $subtract: ['$attempts', 1] }, capped.length - 1] };
    const share = { $subtract: [1, { $divide: ['$jitter', 2] }] };
    return { $multiply: [{ $arrayElemAt: [literal(capped), index] }, share] };
  }

  /** A lease from now on: never beyond what the job is allowed without progress, to be picked up, or in all. */
  leaseEnd(touchedAt: Expression, state: Expression): Expression {
    const { now } = this.time;
    const { leaseMs, stuckMs, pickupMs } = this.config;
    const renewed = plus(now, leaseMs);
    const isToStart = { $and: [{ $eq: ['$pool', 'tenant'] }, { $eq: [state, 'claimed'] }] };
    const pickup = cond(isToStart, plus('$lease.claimedAt', pickupMs), renewed);
    return { $min: [renewed, plus(touchedAt, stuckMs), { $ifNull: ['$lease.deadlineAt', renewed] }, pickup] };
  }

  /** Which of these ends has come. */
  whyOver(): Expression {
    const { now } = this.time;
    const { stuckMs, pickupMs } = this.config;
    const isToStart = { $and: [{ $eq: ['$pool', 'tenant'] }, { $eq: ['$state', 'claimed'] }] };
    const isLate = (end: Expression): Expression => ({ $lte: [end, now] });
    const stuckOrLost = cond(isLate(plus('$lease.touchedAt', stuckMs)), 'stuck', 'lease_expired');
    const notPickedUp = { $and: [isToStart, isLate(plus('$lease.claimedAt', pickupMs))] };
    const deadline = { $ifNull: ['$lease.deadlineAt', plus(now, 1)] };
    return cond(isLate(deadline), 'timeout', cond(notPickedUp, 'not_picked_up', stuckOrLost));
  }
}
