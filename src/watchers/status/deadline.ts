import type { ResourceStatus } from '../resource.js';

/** The progress deadline of Kubernetes' Deployments, applied where the API has none. */
export const PROGRESS_DEADLINE_MS = 600_000;

export interface Wait {
  /** Goes into the details, where the next extraction finds it again. */
  readonly details: { readonly waitingFor: string; readonly waitingSince: string };
  readonly exceeded: boolean;
  readonly recheckAfterMs: number | null;
}

/**
 * How long the same thing is being waited for. The beginning is remembered in the previous status' details, so it survives
 * a restart and begins again as soon as `waitingFor` differs.
 */
export function waitFor(
  waitingFor: string,
  previous: ResourceStatus | null,
  now: number,
  limitMs: number = PROGRESS_DEADLINE_MS,
): Wait {
  const remembered = previous?.details.waitingFor === waitingFor ? previous.details.waitingSince : undefined;
  const since = typeof remembered === 'string' ? Date.parse(remembered) : Number.NaN;
  const begun = Number.isNaN(since) ? now : since;
  const remaining = begun + limitMs - now;
  return {
    details: { waitingFor, waitingSince: new Date(begun).toISOString() },
    exceeded: remaining <= 0,
    recheckAfterMs: remaining > 0 ? remaining : null,
  };
}
