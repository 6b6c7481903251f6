import type { Rollout } from '../resource.js';
import type { ExtractContext, StatusDraft } from './extract-context.js';
import { replicaStatus } from './replica-status.js';
import type { SlimOf } from './slim-object.js';
import type { DeploymentState } from './workload-state.js';

/** The reason of Progressing once a rollout has come to its end; it stays during scaling and losses of pods. */
const ROLLED_OUT = 'NewReplicaSetAvailable';

export function deploymentStatus(deployment: SlimOf<'Deployment'>, context: ExtractContext): StatusDraft {
  const { state } = deployment;
  const { progressing, replicaFailure, recreate, maxUnavailable } = state;
  const rolledOut = progressing?.reason === ROLLED_OUT && state.updated >= state.desired;
  const failed = replicaFailure ?? (progressing?.status === 'False' ? progressing : null);
  return replicaStatus(deployment, context, {
    children: ['ReplicaSet', 'Pod'],
    rollout: rolloutOf(state),
    tolerated: recreate ? 0 : maxUnavailable,
    toleratedLoss: recreate ? (rolledOut ? 0 : state.desired) : maxUnavailable,
    wasComplete: progressing?.reason === ROLLED_OUT,
    failure: failed === null ? null : { reason: failed.reason ?? 'ReplicaFailure', message: failed.message },
    // The controller watches over rollouts, but not over what is scaled up after one.
    ownDeadline: progressing?.reason === ROLLED_OUT && !state.paused,
    note: state.desired === 0 ? { reason: 'ScaledToZero', message: 'is scaled to 0 replicas' } : null,
    details: { paused: state.paused, strategy: recreate ? 'Recreate' : 'RollingUpdate', maxUnavailable },
  });
}

function rolloutOf(state: DeploymentState): Rollout {
  if (state.paused) return 'paused';
  if (state.progressing?.status === 'False') return 'failed';
  const rolling = state.updated < state.desired || state.replicas > state.updated || state.available < state.desired;
  return rolling ? 'progressing' : 'complete';
}
