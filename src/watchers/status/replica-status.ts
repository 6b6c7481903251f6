import type { Rollout } from '../resource.js';
import { ofCounted } from '../../runtime/counted.js';
import type { ChildKind } from './child-status.js';
import { rollUpChildren } from './children-rollup.js';
import { waitFor, type Wait } from './deadline.js';
import { soonest, type ExtractContext, type StatusDraft } from './extract-context.js';
import type { SlimMetadata } from './slim-metadata.js';
import type { ReplicaCounts } from './workload-state.js';

/** What differs between the kinds that run replicas. */
export interface ReplicaRules {
  readonly children: readonly ChildKind[];
  /** As the counts and the controller's conditions tell it. */
  readonly rollout: Rollout;
  /** With so many replicas unavailable it is still healthy; it never is with none of them available. */
  readonly tolerated: number;
  /** With so many of those it once had unavailable it is recovering, beyond that it is degraded. */
  readonly toleratedLoss: number;
  /** The API says that all replicas were available before, though we did not see it. */
  readonly wasComplete: boolean;
  /** What the controller itself reports as failed. */
  readonly failure: { readonly reason: string; readonly message: string | null } | null;
  /** Whether our deadline applies; false where the controller has its own, or none is wanted. */
  readonly ownDeadline: boolean;
  /** Said of a healthy one. */
  readonly note: { readonly reason: string; readonly message: string } | null;
  readonly details: Readonly<Record<string, unknown>>;
}

/**
 * Two questions asked apart: is it rolled out, and are enough replicas available. A rollout or scale-up that keeps the
 * service available is healthy and progressing; a first rollout is progressing; losing what was there is degraded.
 */
export function replicaStatus(
  object: SlimMetadata & { readonly state: ReplicaCounts },
  context: ExtractContext,
  rules: ReplicaRules,
): StatusDraft {
  const { state } = object;
  const { desired, available, replicas, updated, ready } = state;
  const rollup = rollUpChildren(rules.children, context, desired);
  const settled = settledReplicas(state, context, rules.wasComplete);
  const base = {
    rollout: rules.rollout,
    children: rollup.children,
    recheckAfterMs: rollup.recheckAfterMs,
    details: { desired, replicas, updated, ready, available, settled, childCount: rollup.childCount, ...rules.details },
  };
  const waiting = (waitingFor: string): Wait => waitFor(waitingFor, context.previous, context.now);
  const counts = `${ofCounted(available, desired, 'replica')} available`;

  if ((state.observedGeneration ?? 0) < (object.generation ?? 0)) {
    const message = `its controller has not seen generation ${object.generation ?? 0} yet`;
    const rollout = rules.rollout === 'paused' ? 'paused' : 'progressing';
    const unobserved = { ...base, health: 'progressing', rollout, reason: 'GenerationNotObserved', message } as const;
    return withDeadline(unobserved, waiting(message));
  }
  if (rollup.problem !== null) return { ...base, health: 'degraded', ...rollup.problem };
  if (rules.failure !== null) return { ...base, health: 'degraded', ...rules.failure };

  const wait = waiting(`${counts}, ${updated} updated (generation ${object.generation ?? 0})`);
  if (available >= desired - Math.max(0, Math.min(rules.tolerated, desired - 1))) {
    if (rules.rollout !== 'progressing') return { ...base, health: 'healthy', ...rules.note };
    const rolling = {
      ...base,
      health: 'healthy',
      reason: 'RollingOut',
      message: `${counts}, ${updated} updated`,
    } as const;
    // Replicas that only take long to end are no stalled rollout.
    return rules.ownDeadline && replicas <= desired ? withDeadline(rolling, wait) : rolling;
  }
  if (settled > 0 && available < Math.min(settled, desired) - rules.toleratedLoss) {
    return { ...base, health: 'degraded', reason: 'ReplicasUnavailable', message: counts };
  }
  if (rules.rollout === 'paused' && replicas === 0) {
    return { ...base, health: 'suspended', reason: 'Paused', message: 'is paused and has not been rolled out' };
  }
  const progressing = { ...base, health: 'progressing', reason: 'ReplicasUnavailable', message: counts } as const;
  return rules.ownDeadline ? withDeadline(progressing, wait) : progressing;
}

/** How many replicas were last seen all available: what is less than that was lost, what is more is still coming. */
function settledReplicas(state: ReplicaCounts, context: ExtractContext, wasComplete: boolean): number {
  if (state.available >= state.desired) return state.desired;
  const remembered = context.previous?.details.settled;
  return typeof remembered === 'number' ? Math.min(remembered, state.desired) : wasComplete ? state.desired : 0;
}

function withDeadline(draft: StatusDraft, wait: Wait): StatusDraft {
  const details = { ...draft.details, ...wait.details };
  const recheckAfterMs = soonest(draft.recheckAfterMs, wait.recheckAfterMs);
  if (!wait.exceeded) return { ...draft, details, recheckAfterMs };
  const message = `no progress since ${wait.details.waitingSince}: ${draft.message ?? wait.details.waitingFor}`;
  return {
    ...draft,
    details,
    recheckAfterMs,
    health: 'degraded',
    rollout: 'failed',
    reason: 'ProgressDeadlineExceeded',
    message,
  };
}
