import { counted } from '../../runtime/counted.js';
import type { ExtractContext, StatusDraft } from './extract-context.js';
import { replicaStatus } from './replica-status.js';
import type { SlimOf } from './slim-object.js';
import type { DaemonSetState } from './workload-state.js';

/** Its replicas are the nodes it should run on. */
export function daemonSetStatus(daemonSet: SlimOf<'DaemonSet'>, context: ExtractContext): StatusDraft {
  const { state } = daemonSet;
  const { desired, available, updated, maxUnavailable, onDelete, misscheduled } = state;
  const updating = !onDelete && updated < desired;
  return replicaStatus(daemonSet, context, {
    children: ['Pod'],
    rollout: updating || available < desired || state.replicas < desired ? 'progressing' : 'complete',
    tolerated: updating ? maxUnavailable : 0,
    toleratedLoss: updating ? maxUnavailable : Math.max(0, desired - 1),
    wasComplete: false,
    failure: null,
    ownDeadline: true,
    note: noteOf(state),
    details: { strategy: onDelete ? 'OnDelete' : 'RollingUpdate', misscheduled },
  });
}

function noteOf(state: DaemonSetState): { reason: string; message: string } | null {
  if (state.desired === 0) return { reason: 'NoMatchingNodes', message: 'no node is to run it' };
  if (state.onDelete && state.updated < state.desired) {
    return {
      reason: 'UpdateOnDelete',
      message: `${state.updated} of ${counted(state.desired, 'pod')} updated; others once deleted`,
    };
  }
  if (state.misscheduled === 0) return null;
  return {
    reason: 'PodsMisscheduled',
    message: `${state.misscheduled === 1 ? '1 pod runs' : `${state.misscheduled} pods run`} on nodes that should not run it`,
  };
}
