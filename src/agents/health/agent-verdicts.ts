/** Of the agents that are watched: more than this gone at once is rather us than them. The idea of Kubernetes' unhealthy zones. */
const MASS_SHARE = 0.55;
const MASS_LEAST = 3;
const MISSED_PERIODS = 2;

/** What one round leaves for the next, on whichever replica that is. Times are the server's. */
export interface HealthRound {
  readonly at: Date;
  /** When a round found that rounds before it were missed. */
  readonly missedAt: Date | null;
  /** Since when most agents are gone. */
  readonly massSince: Date | null;
}

export interface HealthCounts {
  /** Agents that are not offline yet. */
  readonly watched: number;
  /** Of these, those that were not seen for too long. */
  readonly vanished: number;
}

export interface HealthTimes {
  readonly periodMs: number;
  readonly staleMs: number;
}

/** Why no agent is called offline by this round. */
export type HoldReason = 'missed_rounds' | 'most_vanished';

/**
 * Whether the vanished agents may be called offline. Not when we ourselves were away, nor when most of them vanish
 * together; but either holds for the time of one verdict only, in which they can beat again.
 */
export function judge(
  before: HealthRound | null,
  now: Date,
  { watched, vanished }: HealthCounts,
  { periodMs, staleMs }: HealthTimes,
): { readonly hold: HoldReason | null; readonly round: HealthRound } {
  const isWithin = (since: Date | null): boolean =>
    since !== null && since <= now && now.getTime() - since.getTime() < staleMs;
  const hasMissed = before !== null && now.getTime() - before.at.getTime() > MISSED_PERIODS * periodMs;
  const kept = before !== null && isWithin(before.missedAt) ? before.missedAt : null;
  const missedAt = hasMissed ? now : kept;
  const isMass = vanished >= MASS_LEAST && vanished > MASS_SHARE * watched;
  const began = before?.massSince ?? null;
  const massSince = isMass ? (began !== null && began <= now ? began : now) : null;
  const hold = missedAt !== null ? 'missed_rounds' : isWithin(massSince) ? 'most_vanished' : null;
  return { hold, round: { at: now, missedAt, massSince } };
}
