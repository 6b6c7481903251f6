import type { ExtractContext, StatusDraft } from './extract-context.js';
import { replicaStatus } from './replica-status.js';
import type { SlimOf } from './slim-object.js';

export function replicaSetStatus(replicaSet: SlimOf<'ReplicaSet'>, context: ExtractContext): StatusDraft {
  const { desired, available, replicas, replicaFailure } = replicaSet.state;
  // A ReplicaSet has one revision only: every replica is an updated one.
  const state = { ...replicaSet.state, updated: replicas };
  return replicaStatus({ ...replicaSet, state }, context, {
    children: ['Pod'],
    rollout: available < desired || replicas !== desired ? 'progressing' : 'complete',
    tolerated: 0,
    toleratedLoss: Math.max(0, desired - 1),
    wasComplete: false,
    failure:
      replicaFailure === null
        ? null
        : { reason: replicaFailure.reason ?? 'ReplicaFailure', message: replicaFailure.message },
    ownDeadline: true,
    note: desired === 0 ? { reason: 'ScaledToZero', message: 'is scaled to 0 replicas' } : null,
    details: {},
  });
}
