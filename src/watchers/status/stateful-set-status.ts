import { counted } from '../../runtime/counted.js';
import type { ExtractContext, StatusDraft } from './extract-context.js';
import { replicaStatus } from './replica-status.js';
import type { SlimOf } from './slim-object.js';
import type { StatefulSetState } from './workload-state.js';

export function statefulSetStatus(statefulSet: SlimOf<'StatefulSet'>, context: ExtractContext): StatusDraft {
  const { state } = statefulSet;
  const { desired, available, replicas, maxUnavailable, partition, onDelete } = state;
  const updating = isUpdating(state);
  return replicaStatus(statefulSet, context, {
    children: ['Pod'],
    rollout: updating || available < desired || replicas !== desired ? 'progressing' : 'complete',
    // Its budget is one for updates; outside of them every replica counts, because each has its own identity and data.
    tolerated: updating ? maxUnavailable : 0,
    toleratedLoss: updating ? maxUnavailable : Math.max(0, desired - 1),
    wasComplete: false,
    failure: null,
    ownDeadline: true,
    note: noteOf(state),
    details: { strategy: onDelete ? 'OnDelete' : 'RollingUpdate', partition },
  });
}

/** A partition holds older replicas back on purpose; without one the revisions must become the same. */
function isUpdating(state: StatefulSetState): boolean {
  if (state.onDelete || state.sameRevision || state.desired === 0) return false;
  return state.partition === 0 || state.updated < state.desired - state.partition;
}

function noteOf(state: StatefulSetState): { reason: string; message: string } | null {
  if (state.desired === 0) return { reason: 'ScaledToZero', message: 'is scaled to 0 replicas' };
  if (state.sameRevision) return null;
  return state.onDelete
    ? {
        reason: 'UpdateOnDelete',
        message: `${state.updated} of ${counted(state.desired, 'pod')} updated; others once deleted`,
      }
    : {
        reason: 'PartitionedUpdate',
        message: `${state.updated} of ${counted(state.desired, 'pod')} updated, as its partition allows`,
      };
}
