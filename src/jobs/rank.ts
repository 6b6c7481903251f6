import type { Plan } from '../tenants/index.js';

/**
 * The order of the queue.
 *
 * A job's priority grows while it waits: p(t) = base of its plan + its own priority + bonus × (t − virtualStart), with
 * the bonus in points a minute. For two jobs the difference p(t) does not depend on t, so
 * `rank = virtualStart − (base + priority) × 60 000 / bonus`, ascending, is the order of p(t) descending at every
 * instant: it is written once, and nothing has to be recalculated as time passes. This needs one bonus for all.
 *
 * virtualStart comes from the clock of the job's tenant (start-time fair queueing): each job moves its tenant's clock on
 * by cost ÷ weight, at most `lead` ahead of now.
 *
 * Bounds, for a job that is enqueued at t with `points` = base + priority:
 * - It starves not: a job enqueued after t + lead + (most points − points) × 60 000 / bonus is behind it, whoever's it
 *   is. So what can be served before it is what was enqueued until then.
 * - Tenants are fair: while two tenants have jobs of equal points waiting, and neither's lead is at its cap, what they
 *   were served since both began to wait, each divided by its weight, differs by less than 1 ÷ the smaller weight + 1 ÷
 *   the larger, whatever the lengths of their queues.
 */
export function rankOf(virtualStart: number, points: number, bonusPerMinute: number): number {
  return virtualStart - (points * 60_000) / bonusPerMinute;
}

/** p(t): points of a job of this rank at the time `now` (milliseconds). For showing only. */
export function pointsAt(rank: number, now: number, bonusPerMinute: number): number {
  return (bonusPerMinute * (now - rank)) / 60_000;
}

/** A job's own priority is 0 to this. */
export const MAX_PRIORITY = 100;

/**
 * The least bonus with which a job of no points overtakes fresh ones of the most points within the queue limit: with
 * less, a steady stream of those would let it expire.
 */
export function leastBonus(plans: readonly Plan[], queueLimitMs: number): number {
  const bases = plans.map(({ base }) => base);
  const spread = Math.max(...bases) + MAX_PRIORITY - Math.min(...bases);
  return (spread * 60_000) / queueLimitMs;
}
