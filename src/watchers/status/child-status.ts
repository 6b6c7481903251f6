import { ofCounted } from '../../runtime/counted.js';
import { assessDeletion } from './deletion.js';
import { assessed, type Assessment } from './extract-context.js';
import { assessPod } from './pod-status.js';
import type { SlimObject, SlimOf } from './slim-object.js';

/** The kinds that appear as somebody's children. */
export type ChildKind = 'ReplicaSet' | 'Pod' | 'Job';

/**
 * A child's health by itself. null: it has nothing to do any more, such as an old revision's ReplicaSet.
 *
 * @param podDeadlineMs How long a pod may take to become ready; null when the owner has a deadline of its own.
 */
export function assessChild(child: SlimObject, now: number, podDeadlineMs: number | null): Assessment | null {
  if (child.kind === 'Pod') return assessPod(child, now, podDeadlineMs);
  if (child.kind === 'Job') return assessDeletion(child, now) ?? assessJob(child);
  return child.kind === 'ReplicaSet' ? assessReplicaSet(child, now) : null;
}

/** A Job by its own conditions. */
export function assessJob({ name, state }: SlimOf<'Job'>): Assessment {
  if (state.complete) return assessed('completed', 'Complete', `${state.succeeded} succeeded`);
  if (state.failure !== null) {
    const why = state.failure.message === null ? '' : `: ${state.failure.message}`;
    return assessed('degraded', state.failure.reason, `job ${name} failed${why}`);
  }
  if (state.suspend) return assessed('suspended', 'JobSuspended');
  if (state.ending) return assessed('progressing', 'SuccessCriteriaMet', 'has succeeded, its pods are ending');
  const goal = state.completions === null ? '' : ` of ${state.completions}`;
  const failed = state.failed === 0 ? '' : `, ${state.failed} failed (${state.backoffLimit} retries allowed)`;
  return assessed('progressing', 'JobRunning', `${state.active} active, ${state.succeeded}${goal} succeeded${failed}`);
}

function assessReplicaSet(replicaSet: SlimOf<'ReplicaSet'>, now: number): Assessment | null {
  const { state } = replicaSet;
  const deletion = assessDeletion(replicaSet, now);
  if (deletion !== null) return deletion;
  if (state.desired === 0 && state.replicas === 0) return null;
  if (state.replicaFailure !== null) {
    return assessed('degraded', state.replicaFailure.reason ?? 'ReplicaFailure', state.replicaFailure.message);
  }
  const observed = (state.observedGeneration ?? 0) >= (replicaSet.generation ?? 0);
  if (observed && state.available >= state.desired) return assessed('healthy');
  return assessed(
    'progressing',
    'ReplicasUnavailable',
    `${ofCounted(state.available, state.desired, 'replica')} available`,
  );
}
